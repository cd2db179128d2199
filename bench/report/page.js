(() => {
  "use strict";
  const root = document.documentElement, theme = document.getElementById("theme"), tip = document.getElementById("tip");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  theme.hidden = false;
  theme.onclick = () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  };
  // A key shows and hides its driver in all pictures of its section.
  for (const key of document.querySelectorAll(".key")) {
    key.onclick = () => {
      const on = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", on);
      for (const line of key.closest("section").querySelectorAll(".line.c" + key.dataset.color)) line.style.display = on ? "" : "none";
    };
  }
  const split = text => (text || "").split("|").map(part => {
    const blank = part.indexOf(" ");
    return [Number(part.slice(0, blank)), part.slice(blank + 1)];
  });
  const make = (svg, name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    return svg.appendChild(node);
  };
  // Under the pointer: each line's nearest point, marked in the picture and named beside it.
  for (const svg of document.querySelectorAll("svg.plot")) {
    const lines = [...svg.querySelectorAll("polyline")].map(node => ({ node, x: split(node.dataset.x), y: split(node.dataset.y) }));
    if (!lines.length) continue;
    let added = [];
    const clear = () => { added.forEach(node => node.remove()); added = []; tip.hidden = true; };
    const show = event => {
      clear();
      const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * 440 / box.width;
      const rows = [];
      let where = null;
      for (const line of lines) {
        if (line.node.style.display === "none") continue;
        let best = 0;
        line.x.forEach(([x], i) => { if (Math.abs(x - at) < Math.abs(line.x[best][0] - at)) best = i; });
        if (where === null || Math.abs(line.x[best][0] - at) < Math.abs(where[0] - at)) where = line.x[best];
        const color = getComputedStyle(line.node).stroke;
        added.push(make(svg, "circle", { class: "mark", cx: line.x[best][0], cy: line.y[best][0], r: 4, fill: color }));
        rows.push([color, line.node.dataset.name, line.y[best][1], line.x[best][1]]);
      }
      if (where === null) return;
      added.push(make(svg, "path", { class: "cursor", d: `M${where[0]} 30V212` }));
      tip.replaceChildren(...rows.map(([color, name, y, x]) => {
        const row = document.createElement("div"), key = document.createElement("i"), value = document.createElement("b");
        key.style.background = color;
        value.textContent = y;
        row.append(key, name + ": ", value, " at " + x);
        return row;
      }));
      tip.hidden = false;
      const w = tip.offsetWidth, h = tip.offsetHeight;
      tip.style.left = Math.max(6, Math.min(event.clientX + 14, innerWidth - w - 6)) + "px";
      tip.style.top = (event.clientY - h - 14 < 6 ? event.clientY + 18 : event.clientY - h - 14) + "px";
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", clear);
  }
})();

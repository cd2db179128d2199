package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/plot"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template shows.
type page struct {
	Style, PlotStyle template.CSS
	Script           template.JS
	When, Host       string
	Drivers          []string // in the order of their colours in the first group
	Sections         []section
	Environment      []pair
	Commands         []string
}

type section struct {
	ID, Title, Subtitle string
	Lead, LeadNote      string // what the scenario is about, for the overview
	Drivers             []string
	Keys                []key
	Leads               []cell // by driver
	Table               sideways
	Bars, Main, More    []template.HTML
	Notes               []string
	Faults              []string
}

// sideways is a table with a row for each metric, which fits a narrow screen.
type sideways struct {
	Head []string
	Rows [][]cell
}

type cell struct{ Text, Small string }

// key is a driver in a section's legend.
type key struct {
	Name  string
	Color int
}

type pair struct{ Name, Value string }

// WriteHTML writes one page that needs nothing but itself: tables, pictures, environment, commands.
func WriteHTML(w io.Writer, records []Record) error {
	p := page{Style: template.CSS(pageStyle), PlotStyle: template.CSS(plot.Style), Script: template.JS(pageScript)}
	groups := Groups(records)
	for i, g := range groups {
		p.Sections = append(p.Sections, g.section(i))
		for _, d := range g.Drivers {
			if !slices.Contains(p.Drivers, d) {
				p.Drivers = append(p.Drivers, d)
			}
		}
	}
	for i := range records {
		if text := shellLine(records[i].Command); text != "" && !slices.Contains(p.Commands, text) {
			p.Commands = append(p.Commands, text)
		}
	}
	if len(records) > 0 {
		first := &records[0]
		p.When, p.Environment = first.At.UTC().Format("2 January 2006, 15:04 UTC"), environment(first)
		if h := first.Host; h != nil {
			p.Host = strings.TrimSpace(fmt.Sprintf("%d x %s", h.Processors, h.CPU))
		}
	}
	return pageTemplate.Execute(w, p)
}

func (g *Group) section(number int) section {
	s := section{ID: fmt.Sprintf("run%d", number+1), Drivers: g.Drivers, Notes: g.notes()}
	s.Title, s.Subtitle, _ = strings.Cut(Title(g.Config), ", ")
	if lead, ok := g.lead(); ok {
		s.Lead = lead.Name
		if way := lead.Better.words(); way != "" {
			s.LeadNote = s.Lead + ", " + way
		}
		for i, driver := range g.Drivers {
			c := cell{Text: g.absent(driver)}
			if spread, ok := g.Spreads[driver][s.Lead]; ok {
				c.Text = lead.Show(spread.Median)
			}
			if ratio, ok := g.Ratios[driver][s.Lead]; i > 0 && ok {
				c.Small = fmt.Sprintf("%.2fx", ratio)
			}
			s.Leads = append(s.Leads, c)
		}
	}
	for i, driver := range g.Drivers {
		s.Keys = append(s.Keys, key{driver, i % plot.Colors})
	}
	s.Table = g.sideways()
	for _, p := range g.headlines() {
		s.Bars = append(s.Bars, template.HTML(p.svg))
	}
	for _, p := range slices.Concat(g.distributions(), g.overTime(courses[:firstCourses])) {
		s.Main = append(s.Main, template.HTML(p.svg))
	}
	for _, p := range g.overTime(courses[firstCourses:]) {
		s.More = append(s.More, template.HTML(p.svg))
	}
	for _, driver := range g.Drivers {
		if faults := g.Faults(driver); len(faults) > 0 {
			s.Faults = append(s.Faults, driver+": "+FaultLine(faults))
		}
	}
	return s
}

func (g *Group) sideways() (t sideways) {
	t.Head = slices.Clone(g.Drivers)
	for _, driver := range g.Drivers[1:] {
		t.Head = append(t.Head, g.Drivers[0]+" / "+driver)
	}
	for _, m := range g.Columns() {
		row := []cell{{Text: m.Name, Small: m.Better.words()}}
		for _, driver := range g.Drivers {
			s, ok := g.Spreads[driver][m.Name]
			switch {
			case !ok:
				row = append(row, cell{Text: g.absent(driver)})
			case s.Min < s.Max:
				row = append(row, cell{m.Show(s.Median), m.Show(s.Min) + ".." + m.Show(s.Max)})
			default:
				row = append(row, cell{Text: m.Show(s.Median)})
			}
		}
		for _, driver := range g.Drivers[1:] {
			text := "-"
			if ratio, ok := g.Ratios[driver][m.Name]; ok {
				text = fmt.Sprintf("%.2fx", ratio)
			}
			row = append(row, cell{Text: text})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// environment lists the machine and the source of a record.
func environment(r *Record) (pairs []pair) {
	add := func(name, format string, args ...any) {
		if value := strings.TrimSpace(fmt.Sprintf(format, args...)); value != "" && value != "0" {
			pairs = append(pairs, pair{name, value})
		}
	}
	if h := r.Host; h != nil {
		add("processors", "%d x %s", h.Processors, h.CPU)
		if h.Hypervisor {
			add("kind", "virtual machine")
		}
		add("memory", "%.1f GiB", float64(h.MemoryBytes)/(1<<30))
		add("system", "%s %s %s", h.OS, h.Arch, h.Kernel)
		add("clock governor", "%s", h.Governor)
		add("GOMAXPROCS", "%d", h.MaxProcs)
		add("open files", "%d", h.Files)
		for _, name := range sortedKeys(h.Sysctls) {
			add(name, "%s", h.Sysctls[name])
		}
	}
	pairs = append(pairs, buildPairs(r.Build)...)
	return pairs
}

func buildPairs(b *fingerprint.Build) (pairs []pair) {
	if b == nil {
		return nil
	}
	for _, p := range []pair{{"Go", b.Go}, {"module", b.Module}, {"source", b.Short()}, {"build settings", b.Settings}} {
		if p.Value != "" {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// shellLine is a command as a shell reads it.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\$`<>|&;()*?[]#~{}!") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// PictureKinds returns the names of what can be drawn of a group.
func PictureKinds() []string {
	kinds := []string{leadPicture, "bars", "latency-cdf", "latency-percentiles"}
	for _, c := range courses {
		kinds = append(kinds, c.name)
	}
	return kinds
}

// WritePictures hands out pictures of every group as files that stand alone, each with the name it should
// have. Of all kinds, or of those that only names.
func WritePictures(records []Record, only []string, write func(name string, svg []byte) error) error {
	for _, kind := range only {
		if !slices.Contains(PictureKinds(), kind) {
			return fmt.Errorf("%w: no picture %q: want some of %s", ErrFormat, kind, strings.Join(PictureKinds(), ", "))
		}
	}
	for _, g := range Groups(records) {
		for _, p := range slices.Concat(g.headlines(), g.distributions(), g.overTime(courses)) {
			kind := p.name
			if strings.HasPrefix(kind, barsPrefix) {
				kind = "bars"
			}
			if len(only) > 0 && !slices.Contains(only, kind) {
				continue
			}
			if err := write(fileName(Title(g.Config))+"-"+p.name+".svg", []byte(plot.Standalone(p.svg)+"\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileName keeps letters and digits, and puts one dash for everything between.
func fileName(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}

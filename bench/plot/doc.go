// Package plot draws lines and bars as SVG, for pages that must work without a network.
//
// It is not a plotting library: it knows the few kinds of pictures that results of measurements need. A Chart has lines over two
// axes, each even or logarithmic; Bars have a value and its bounds for each name. Colours are not in the picture: lines carry
// classes c0 to c7 and the page's style says what these are, in light and in dark. Standalone puts such a style into the
// picture, for files that stand alone.
//
// The drawing is 440 units wide, with letters of 12: readable at the width of a phone and in three columns on a laptop. Lines
// carry what they show as text (data-x, data-y), for a page's script to tell what is under the pointer.
//
// All functions are pure. Values that cannot be drawn (no numbers, zero or less on a logarithmic axis) are
// left out, and a chart of nothing says so.
package plot

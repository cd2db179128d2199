package plot

import (
	"math"
	"strconv"
)

// An Axis is one direction of a Chart.
type Axis struct {
	Label string
	Log   bool
	Zero  bool                 // begins at 0; even axes only
	Show  func(float64) string // nil: about 3 digits
	Ticks []Tick               // nil: chosen
}

// A Tick is a marked place on an axis.
type Tick struct {
	At   float64
	Text string
}

// tickCount is about how many ticks an axis has. 5: their texts stay apart at the width of a phone.
const tickCount = 5

// a scale is an axis with bounds: values to 0..1.
type scale struct {
	axis     Axis
	min, max float64
}

// over returns the scale that holds all values, and whether there is one.
func (a Axis) over(values []float64) (scale, bool) {
	s := scale{axis: a, min: math.Inf(1), max: math.Inf(-1)}
	for _, t := range a.Ticks {
		values = append(values[:len(values):len(values)], t.At)
	}
	for _, v := range values {
		if a.drawable(v) {
			s.min, s.max = min(s.min, v), max(s.max, v)
		}
	}
	if s.min > s.max {
		return s, false
	}
	switch {
	case a.Zero && !a.Log:
		s.min, s.max = min(s.min, 0), max(s.max, 0)
	case a.Log && s.min == s.max:
		s.min, s.max = s.min/2, s.max*2
	}
	if s.min == s.max {
		s.min, s.max = s.min-1, s.max+1
		if a.Zero && s.min < 0 {
			s.min = 0
		}
	}
	return s, true
}

// extreme is beyond everything that is measured, and far enough from the ends of a float64 for differences and quotients.
const extreme = 1e100

// drawable is false for what is no number, too.
func (a Axis) drawable(v float64) bool {
	return math.Abs(v) <= extreme && (!a.Log || v >= 1/extreme)
}

func (s scale) at(v float64) float64 {
	if s.axis.Log {
		return math.Log(v/s.min) / math.Log(s.max/s.min)
	}
	return (v - s.min) / (s.max - s.min)
}

func (s scale) show(v float64) string {
	if s.axis.Show != nil {
		return s.axis.Show(v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// ticks returns the marks within the bounds.
func (s scale) ticks() []Tick {
	if s.axis.Ticks != nil {
		return s.axis.Ticks
	}
	var marks []float64
	if s.axis.Log {
		marks = s.logMarks()
	} else {
		step := round((s.max - s.min) / tickCount)
		for k := math.Ceil(s.min / step); k*step <= s.max*(1+1e-12); k++ {
			marks = append(marks, k*step+0) // + 0: no minus in front of it
		}
	}
	ticks := make([]Tick, len(marks))
	for i, v := range marks {
		ticks[i] = Tick{v, s.show(v)}
	}
	return ticks
}

// logMarks are powers of ten, and 2 and 5 times these where there are few, thinned where there are many.
func (s scale) logMarks() (marks []float64) {
	factors := []float64{1}
	decades := math.Log10(s.max / s.min)
	if decades < 2.5 {
		factors = []float64{1, 2, 5}
	}
	every := math.Max(1, math.Ceil(decades/(2*tickCount)))
	for e := math.Floor(math.Log10(s.min)); e <= math.Ceil(math.Log10(s.max)); e += every {
		for _, f := range factors {
			if v := f * math.Pow(10, e); v >= s.min*(1-1e-9) && v <= s.max*(1+1e-9) {
				marks = append(marks, v)
			}
		}
	}
	if len(marks) < 2 {
		marks = []float64{s.min, s.max}
	}
	return marks
}

// round returns the nearest of 1, 2, 2.5, 5 times a power of ten that is not less than v.
func round(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*unit >= v*(1-1e-9) {
			return f * unit
		}
	}
	return 10 * unit
}

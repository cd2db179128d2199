package gnetio

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// TestConfigValidate: every field's bounds, and that all problems are told at once.
func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		bad  []string // fields the error names; none: valid
	}{
		{"zero", Config{}, nil},
		{"largest", Config{loopLimit, readBufferLimit, descriptorLimit, descriptorLimit, dialLimit, nil}, nil},
		{"negative loops", Config{Loops: -1}, []string{"Loops"}},
		{"too many loops", Config{Loops: loopLimit + 1}, []string{"Loops"}},
		{"huge buffer", Config{ReadBuffer: readBufferLimit + 1}, []string{"ReadBuffer"}},
		{"negative reserve", Config{FDReserve: -1}, []string{"FDReserve"}},
		{"negative links", Config{LinkLimit: -5}, []string{"LinkLimit"}},
		{"too many dials", Config{DialLimit: dialLimit + 1}, []string{"DialLimit"}},
		{"everything", Config{-1, -1, -1, -1, -1, nil}, []string{"Loops", "ReadBuffer", "FDReserve", "LinkLimit", "DialLimit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.cfg.Validate()
			if (err != nil) != (len(c.bad) > 0) {
				t.Fatalf("Validate(%+v) = %v", c.cfg, err)
			}
			if err == nil {
				return
			}
			want(t, "Validate", err, ErrConfig)
			for _, field := range c.bad {
				if !strings.Contains(err.Error(), field) {
					t.Errorf("%q does not name %s", err, field)
				}
			}
			if _, err := New(c.cfg).Start(newProbe(), nil); !errors.Is(err, ErrConfig) {
				t.Errorf("Start: %v", err)
			}
		})
	}
}

// TestConfigDefaults: zero means the written default.
func TestConfigDefaults(t *testing.T) {
	c := Config{}.withDefaults(20000)
	if c.Loops != runtime.GOMAXPROCS(0) || c.ReadBuffer != 128<<10 || c.FDReserve != 512 || c.DialLimit != 256 || c.Logger == nil {
		t.Errorf("defaults are %+v", c)
	}
	if c := (Config{}).withDefaults(400); c.FDReserve != 100 {
		t.Errorf("of 400 descriptors %d are kept back, want a quarter", c.FDReserve)
	}
	set := Config{Loops: 3, ReadBuffer: 4096, FDReserve: 7, LinkLimit: 9, DialLimit: 11, Logger: c.Logger}
	if got := set.withDefaults(20000); got != set {
		t.Errorf("withDefaults changed %+v to %+v", set, got)
	}
}

// TestSetLimit: the link limit is what is asked for, as far as the process has descriptors.
func TestSetLimit(t *testing.T) {
	own := 2*(descriptorsPerLoop+3) + descriptorsAtLeast // two loops, three addresses
	for _, c := range []struct {
		descriptors, reserve, asked, limit int // limit 0: an error
	}{
		{20000, 500, 0, 19500 - own},
		{20000, 500, 10, 10},
		{20000, 500, 19500 - own, 19500 - own},
		{20000, 500, 50000, 19500 - own},
		{100, 100 - own - 1, 0, 1},
		{100, 100 - own, 0, 0},
		{100, 500, 10, 0},
	} {
		tr := New(Config{})
		tr.cfg = Config{Loops: 2, FDReserve: c.reserve, LinkLimit: c.asked}.withDefaults(c.descriptors)
		err := tr.setLimit(c.descriptors, 3)
		if got := tr.LinkLimit(); got != c.limit || (err != nil) != (c.limit == 0) {
			t.Errorf("%+v: limit %d, %v", c, got, err)
		}
		if err != nil {
			want(t, "setLimit", err, ErrConfig)
		}
	}
}

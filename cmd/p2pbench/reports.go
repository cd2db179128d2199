package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/carrier-p2p/carrier/bench/report"
)

type reportCommand struct {
	Files  []string `arg:"" help:"Results: JSONL or JSON of p2pbench; - for standard input." placeholder:"FILE"`
	Out    []string `help:"Write these; a name's ending says in which form: .html .md .csv .json .jsonl .bench .prom .txt." placeholder:"FILE"`
	Format string   `help:"What standard output gets if there is no --out: ${enum}." enum:"text,json,jsonl,csv,md,bench,openmetrics,html" default:"text"`
	Ratios bool     `help:"One line for each scenario, a column for each driver: its median and how many times that the first driver's is. As text or md."`
	Into   string   `help:"Write the ratios into a Markdown page, between its lines <!-- measured: begin --> and <!-- measured: end -->." placeholder:"PAGE"`
	SVG    string   `help:"Write pictures into this directory, each as a file that stands alone." placeholder:"DIR"`
	Only   []string `help:"Pictures of these kinds only: lead, bars, latency-cdf, latency-percentiles, rate, p99, rss, cores, ..." placeholder:"KIND"`
}

func (reportCommand) Help() string {
	return `Shows kept results again, in any form. Runs of several files stand side by side.

  p2pbench report results.jsonl --out results.html
  p2pbench report monday.jsonl tuesday.jsonl --format md
  p2pbench report results.jsonl --ratios --format md
  p2pbench report results.jsonl --into comparison.md
  p2pbench report results.jsonl --svg pictures`
}

func (c *reportCommand) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	var all []report.Record
	for _, path := range c.Files {
		records, err := a.readRecords(path)
		if err != nil {
			return err
		}
		if len(c.Files) > 1 {
			nameAfter(records, path)
		}
		all = append(all, records...)
	}
	for _, path := range c.Out {
		if err := writeReport(path, all); err != nil {
			return err
		}
	}
	if c.SVG != "" {
		if err := writePictures(c.SVG, c.Only, all); err != nil {
			return err
		}
	}
	if c.Into != "" {
		if err := writeInto(c.Into, all); err != nil {
			return err
		}
	}
	switch {
	case c.Ratios:
		return report.WriteRatios(a.stdout, c.Format, all)
	case len(c.Out) > 0 || c.SVG != "" || c.Into != "":
		return nil
	}
	if c.Format == "text" {
		return report.WriteTextWithin(a.stdout, all, a.columns(""))
	}
	return report.Write(a.stdout, c.Format, all)
}

// check refuses what makes no sense before anything is written.
func (c *reportCommand) check() error {
	switch {
	case c.Ratios && c.Format != "text" && c.Format != "md":
		return fmt.Errorf("%w: --ratios are text or md, not %s", errUsage, c.Format)
	case len(c.Only) > 0 && c.SVG == "":
		return fmt.Errorf("%w: --only is about the pictures of --svg", errUsage)
	}
	return nil
}

// nameAfter tells the drivers of one file from those of another.
func nameAfter(records []report.Record, path string) {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for i := range records {
		records[i].Driver += " (" + name + ")"
	}
}

// readRecords reads a results file; its name stands before what is wrong with it.
func (a *app) readRecords(path string) ([]report.Record, error) {
	in, done, err := a.input(path)
	if err != nil {
		return nil, err
	}
	defer done()
	records, err := report.ReadRecords(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

func (a *app) input(path string) (in io.Reader, done func(), err error) {
	if path == "-" {
		return a.stdin, func() {}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return file, func() { _ = file.Close() }, nil // nothing was written
}

// writeInto renews the measured part of a page. It is read and understood before it is written.
func writeInto(path string, all []report.Record) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var ratios strings.Builder
	if err := report.WriteRatios(&ratios, "md", all); err != nil {
		return err
	}
	renewed, err := report.Between(string(page), ratios.String())
	if err != nil {
		return fmt.Errorf("%w: --into %s: %w", errUsage, path, err)
	}
	return os.WriteFile(path, []byte(renewed), 0o644)
}

func writePictures(dir string, only []string, all []report.Record) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return report.WritePictures(all, only, func(name string, svg []byte) error {
		return os.WriteFile(filepath.Join(dir, name), svg, 0o644)
	})
}

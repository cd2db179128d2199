package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/carrier-p2p/carrier/framing"
)

type wireCommand struct {
	Hex    []string `arg:"" help:"The bytes, in hexadecimal; blanks, colons and commas between them do not matter. - reads them from standard input."`
	Stream bool     `help:"Read them as one direction of a connection: handshake, then sealed records." xor:"as"`
	Frames bool     `help:"Read them as the frames of one opened record." xor:"as"`
}

func (wireCommand) Help() string {
	return `Explains captured bytes, field by field, and where they break the protocol. Without a flag it takes the reading that explains more.

  p2pbench wire 00 00 00 00 0a 00 00 00 01 00 00 00
  xxd -p capture.bin | p2pbench wire --stream -`
}

// wireInputLimit bounds what is read from standard input. 16 MiB in hexadecimal are more than anybody reads.
const wireInputLimit = 32 << 20

func (c *wireCommand) Run(a *app) error {
	text := strings.Join(c.Hex, "")
	if text == "-" {
		all, err := io.ReadAll(io.LimitReader(a.stdin, wireInputLimit))
		if err != nil {
			return err
		}
		text = string(all)
	}
	b, err := parseHex(text)
	if err != nil {
		return err
	}
	explain := framing.Dump
	switch {
	case c.Stream:
		explain = framing.DumpStream
	case c.Frames:
		explain = framing.DumpFrames
	}
	_, err = io.WriteString(a.stdout, explain(b))
	return err
}

// parseHex reads hexadecimal digits as people paste them.
func parseHex(text string) ([]byte, error) {
	text = strings.ReplaceAll(text, "0x", "")
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' || r == ',' {
			return -1
		}
		return r
	}, text)
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%w: not bytes in hexadecimal: %w", errUsage, err)
	}
	return b, nil
}

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

type identityCommand struct {
	Path string `arg:"" help:"File of the identity. It is secret: whoever has it is the node."`
	Make bool   `help:"Make one if there is none: a key, and proof of the work that the network asks for."`
	C1   uint8  `name:"c1" help:"Static puzzle: leading zero bits that the key's ID must hash to." default:"16"`
	C2   uint8  `name:"c2" help:"Dynamic puzzle: the same for the ID with a solution mixed in." default:"20"`
}

func (identityCommand) Help() string {
	return `Shows the public part of an identity file, and whether it proves enough work. With the default puzzles making one takes a
few seconds of one core.

  p2pbench identity node.key --make
  p2pbench identity node.key`
}

func (c *identityCommand) Run(a *app) error {
	puzzle := identity.Puzzle{StaticBits: int(c.C1), DynamicBits: int(c.C2)}
	id, err := identity.Load(c.Path)
	if errors.Is(err, fs.ErrNotExist) && c.Make {
		id, err = c.make(a, puzzle)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w (--make makes one)", err)
	}
	if err != nil {
		return err
	}
	verdict := "proves the work"
	if err := puzzle.Check(id.PublicKey(), id.Solution()); err != nil {
		verdict = "proves too little: " + err.Error()
	}
	fmt.Fprintf(a.stdout, "id      %s\npuzzle  c1=%d c2=%d: %s\n", id.ID(), c.C1, c.C2, verdict)
	return nil
}

func (c *identityCommand) make(a *app, puzzle identity.Puzzle) (*identity.Identity, error) {
	id, err := identity.Generate(a.ctx, puzzle, identity.GenerateOptions{})
	if errors.Is(err, a.ctx.Err()) && err != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	return id, id.Save(c.Path)
}

package process

import (
	"io"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Serve is a serving child: it says where it is, answers control lines, and ends with its input.
func Serve(d load.Driver, listen string, shape load.Shape, in io.Reader, out io.Writer) error {
	sink := load.NewSink(load.NewPattern())
	server, err := d.Serve(listen, shape, sink)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := load.WriteReady(out, load.Ready{Driver: d.Name(), Address: server.Addr()}); err != nil {
		return err
	}
	return load.ServeControl(in, out, sink)
}

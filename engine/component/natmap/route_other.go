//go:build !linux

package natmap

// routes: the table is read on Linux only; elsewhere the gateway has to be named.
func routes() ([]route, error) { return nil, ErrNoGateway }

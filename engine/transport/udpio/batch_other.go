//go:build !linux

package udpio

import "errors"

// batched: recvmmsg and its relatives are Linux's.
const batched = false

func newBatchPort(Config) (port, error) {
	return nil, errors.ErrUnsupported
}

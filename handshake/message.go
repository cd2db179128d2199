package handshake

import (
	"fmt"

	"github.com/carrier-p2p/carrier/internal/wire"
)

// NextMessage takes one message from the front of a stream: u16 length, little endian, and that many bytes. n is how
// much of b it took; n = 0 without an error means that it is not whole yet. A length of zero or above MessageLimit is
// an error as soon as the length is there. msg aliases b.
func NextMessage(b []byte) (msg []byte, n int, err error) {
	size, head := wire.ConsumeUint16(b)
	switch {
	case head < 0:
		return nil, 0, nil
	case size == 0:
		return nil, 0, fmt.Errorf("%w: empty", ErrMessage)
	case size > MessageLimit:
		return nil, 0, fmt.Errorf("%w: %d bytes, limit %d", ErrMessageTooLong, size, MessageLimit)
	case len(b) < head+int(size):
		return nil, 0, nil
	}
	n = head + int(size)
	return b[head:n:n], n, nil
}

func appendHello(dst []byte, tag [8]byte) []byte {
	return append(append(dst, helloVersion), tag[:]...)
}

// checkHello looks at message 1 before any of it is believed or computed with. The version comes first: another version
// may have another form.
func checkHello(msg []byte, tag [8]byte) error {
	switch {
	case len(msg) <= offHello:
		return fmt.Errorf("%w: message 1 of %d bytes", ErrMessage, len(msg))
	case msg[offHello] != helloVersion:
		return fmt.Errorf("%w: %d", ErrVersion, msg[offHello])
	case len(msg) != messageOne:
		return fmt.Errorf("%w: message 1 of %d bytes", ErrMessage, len(msg))
	case [8]byte(msg[offHello+1:]) != tag:
		return ErrNetwork
	}
	return nil
}

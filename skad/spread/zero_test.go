package spread

import "github.com/carrier-p2p/carrier/handshake/identity"

// zeroPuzzle asks for nothing.
var zeroPuzzle = identity.Puzzle{}

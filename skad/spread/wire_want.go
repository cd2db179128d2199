package spread

import "github.com/carrier-p2p/carrier/opcode"

// BroadcastWant (23) asks for messages that the receiver has announced to the sender. Each announcement is good for one
// answer, a Broadcast.
//
//	offset size field  meaning     checked by
//	0      16n  ids    1 to 128    ParseMessage: IDLimit, none is 0; Core: announced to this peer

func appendWant(dst []byte, m *Message) []byte { return appendIDs(dst, m.IDs) }

func parseWant(b []byte, room []MessageID) (Message, error) {
	return parseIDs(opcode.BroadcastWantCode, b, room)
}

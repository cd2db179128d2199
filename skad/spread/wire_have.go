package spread

import "github.com/carrier-p2p/carrier/opcode"

// BroadcastHave (22) says which messages the sender has and would give. Nobody has to answer.
//
//	offset size field  meaning     checked by
//	0      16n  ids    1 to 128    ParseMessage: IDLimit, none is 0

func appendHave(dst []byte, m *Message) []byte { return appendIDs(dst, m.IDs) }

func parseHave(b []byte, room []MessageID) (Message, error) {
	return parseIDs(opcode.BroadcastHaveCode, b, room)
}

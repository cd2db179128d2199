package handshake

import (
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

const (
	// MessageLimit bounds one handshake message without its length. The longest that this version writes has 666 bytes;
	// 4 KiB leaves room for parameters of later versions, and is what a half-open connection can make us keep.
	MessageLimit = 4 << 10

	// ParamsSizeLimit bounds the encoded parameters: 16 times what is used today, so that an old node can skip what a
	// newer one adds.
	ParamsSizeLimit = 1 << 10

	// AgentLimit bounds the name of the software. 64 characters: "name/1.2.3 (platform)" and to spare; it ends in logs.
	AgentLimit = 64

	// NetworkIDLimit bounds the network's name, whose length is one byte in the prologue.
	NetworkIDLimit = 255

	// DefaultTimeout is how long a handshake may take in all. It is four trips and less than a millisecond of work, so 5 s
	// serves a satellite path with two lost packets; a stranger holds a half-open place no longer.
	DefaultTimeout = 5 * time.Second

	// RekeyEvery is the number of records after which a direction changes its key. 2^20 records of at most 64 KiB are
	// 2^32 AES blocks under one key; the bound of RFC 8446 5.5 for AES-GCM is about 2^24.5 full-size records of 16 KiB,
	// 2^34.5 blocks.
	RekeyEvery = 1 << 20

	// WindowSize is how far, in datagrams, reordering may reach back. 960 at 1 KiB are 1 MB, which at 1 Gbit/s is
	// 8 ms of disorder; the bitmap takes 128 bytes.
	WindowSize = (windowWords - 1) * 64
)

const (
	keySize    = 32
	tagSize    = 16
	lengthSize = 2

	helloVersion = 1
	helloSize    = 1 + 8

	offHello   = keySize // message 1 is e, then the hello in clear
	messageOne = keySize + helloSize

	// paramsRoom is what the parameters that this version writes take, the agent's name aside: with it a message is made in
	// one piece of memory. More would only mean one more piece.
	paramsRoom = 64

	proofSizeLimit = 2 + identity.RecordSizeLimit + ParamsSizeLimit
	windowWords    = 16
)

// A message with the longest record and the longest parameters fits: e, s with its tag, payload with its tag.
const _ = uint(MessageLimit - (keySize + keySize + tagSize + proofSizeLimit + tagSize))

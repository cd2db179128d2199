package addressmap

import "time"

const (
	// groupLimit bounds the network groups whose word is kept, at about 150 bytes each. When all places are taken a peer that
	// this node has dialled takes the oldest one of those that came in; others find no room.
	groupLimit = 256

	// quorum is how many groups have to agree before what they say counts. Three: one liar and one broken router are not
	// enough to be believed.
	quorum = 3

	// voteLife is how long a group's word counts after its last peer has gone, so that a node that meets many peers for a
	// moment each has an opinion.
	voteLife = 30 * time.Minute

	// Weights of a vote. Whom this node dials it has chosen; whoever comes in has chosen this node.
	weightDialled = 2
	weightInbound = 1

	// groupBits4 and groupBits6 are how much of an address is one group: what one party is likely to have more of is the rest.
	groupBits4 = 16
	groupBits6 = 32
)

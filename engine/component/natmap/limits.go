package natmap

import "time"

// Times.
const (
	// LifetimeDefault is how long a mapping is asked for, 10 min. A node that dies leaves it behind for that long; RFC 6886
	// recommends two hours, which is as long as a port of a busy router would be lost.
	LifetimeDefault = 10 * time.Minute

	// lifetimeMost bounds what may be asked for: a node that is killed leaves its ports behind for as long,
	// and the field of the protocols has 32 bits of seconds.
	lifetimeMost = 7 * 24 * time.Hour

	// checkEvery is how often the gateway is asked whether it still is what it was. Three tries fit into the minute in which
	// a restart is to be noticed.
	checkEvery = 15 * time.Second

	// spareEvery is how often the protocol is asked that holds no mapping.
	spareEvery = 5 * time.Minute

	// sideBySide is how long the simpler protocol may take to answer before the other one is used: NAT-PMP sends again after
	// 250 and 500 ms.
	sideBySide = 800 * time.Millisecond

	// retryMin doubles up to retryMax while a gateway does not answer that has answered before, and up to absentMax while it
	// never has.
	retryMin  = time.Second
	retryMax  = 15 * time.Second
	absentMax = time.Minute

	// refusedEvery is how often a gateway is asked again that has said no.
	refusedEvery = 5 * time.Minute

	// noAddressEvery is the same for one that has no public address to give.
	noAddressEvery = 30 * time.Second

	// youngGateway is how old a gateway has to be for its clock to show that it has restarted, RFC 6886 allowing for two
	// seconds and an eighth; what a younger one confirms is asked for again at the next check.
	youngGateway = 5 * time.Second

	// renewMin keeps a gateway that grants seconds from being asked without end.
	renewMin = 5 * time.Second

	// routeEvery is how often the routing table is read: one small file.
	routeEvery = 10 * time.Second

	// farewellTimeout bounds removing mappings at shutdown: one call that runs into its time-out, and a little.
	farewellTimeout = 3 * time.Second

	// pmpTimeout is for one NAT-PMP call: tries at 0, 250, 750 and 1750 ms.
	pmpTimeout = 2 * time.Second

	// searchTimeout is how long devices are waited for; the search ends as soon as the gateway has answered.
	searchTimeout = 2 * time.Second

	// upnpTimeout is for one action by UPnP, the search included.
	upnpTimeout = 6 * time.Second
)

// Sizes.
const (
	// portLimit bounds the ports that are mapped. A node listens on a handful.
	portLimit = 16

	// conflictLimit bounds the external ports that are tried when one is taken.
	conflictLimit = 8

	// lossLimit is how often in a row a mapping may turn out not to exist before its gateway is a liar.
	lossLimit = 3

	// descriptionLimit bounds a device description and any answer to a call. Those of real routers have 2 to 20 KiB.
	descriptionLimit = 256 << 10

	// headerLimit bounds the header of an HTTP response.
	headerLimit = 16 << 10

	// datagramLimit bounds an answer to a search; longer ones are cut off, and then not understood.
	datagramLimit = 2048

	// answerLimit bounds the answers to one search that are looked at, and strangersLimit those of others than the gateway
	// that are remembered.
	answerLimit    = 256
	strangersLimit = 8

	// serviceLimit bounds the services of a device that are tried.
	serviceLimit = 4

	// listedLimit bounds what is read of a gateway's table for people.
	listedLimit = 64

	// eventsLimit bounds events that nobody has taken: the oldest go.
	eventsLimit = 64
)

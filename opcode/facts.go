package opcode

// Facts is what is fixed about a library code, for everybody and before any message of it has been seen.
type Facts struct {
	Code Opcode
	Name string // without "Code": "Ping"

	// AnsweredBy says for people who acts on the message.
	AnsweredBy string

	// PayloadLimit is the largest payload in bytes; limits.go has the reasons.
	PayloadLimit int

	// NeedsProven: only from a peer whose identity is proven. It holds for every code that anybody acts on, because
	// the handshake is made of its own messages and not of frames: before the proof there is nothing to say in a
	// frame. UnregisteredCode alone has it false; nobody acts on that code, so there is nothing to protect.
	NeedsProven bool

	// Credited: counts against the receive credit of the peer. False only for what must get through when all credit
	// is used up: signs of life, the end of a connection, and the grant of new credit itself. These are small.
	Credited bool
}

// facts is indexed by code and never written. An entry without a name is a number that is not assigned.
var facts = [...]Facts{
	UnregisteredCode:       {UnregisteredCode, "Unregistered", "nobody: dropped and counted", 0, false, true},
	BytesCode:              {BytesCode, "Bytes", "PeerClient.Stream, or a component", frameLimit, true, true},
	KeepaliveCode:          {KeepaliveCode, "Keepalive", "component/keepalive", probeLimit, true, false},
	KeepaliveResponseCode:  {KeepaliveResponseCode, "KeepaliveResponse", "component/keepalive", probeLimit, true, false},
	ProxyResponseCode:      {ProxyResponseCode, "ProxyResponse", "component/proxy", relayLimit, true, true},
	PingCode:               {PingCode, "Ping", "the engine", probeLimit, true, false},
	PongCode:               {PongCode, "Pong", "the engine", probeLimit, true, false},
	LookupNodeRequestCode:  {LookupNodeRequestCode, "LookupNodeRequest", "component/discovery", questionLimit, true, true},
	LookupNodeResponseCode: {LookupNodeResponseCode, "LookupNodeResponse", "component/discovery", contactsLimit, true, true},
	DisconnectCode:         {DisconnectCode, "Disconnect", "the engine", reasonLimit, true, false},
	ProxyRequestCode:       {ProxyRequestCode, "ProxyRequest", "component/proxy", relayLimit, true, true},
	MetricRequestCode:      {MetricRequestCode, "MetricRequest", "component/metric", samplesLimit, true, true},
	MetricResponseCode:     {MetricResponseCode, "MetricResponse", "component/metric", samplesLimit, true, true},
	AckResponseCode:        {AckResponseCode, "AckResponse", "component/ack", ackLimit, true, true},
	ErrorCode:              {ErrorCode, "Error", "the engine", reasonLimit, true, false},
	CreditCode:             {CreditCode, "Credit", "the engine", creditLimit, true, false},
	BroadcastCode:          {BroadcastCode, "Broadcast", "component/broadcast", frameLimit, true, true},
	BroadcastHaveCode:      {BroadcastHaveCode, "BroadcastHave", "component/broadcast", idsLimit, true, true},
	BroadcastWantCode:      {BroadcastWantCode, "BroadcastWant", "component/broadcast", idsLimit, true, true},
	RouteCode:              {RouteCode, "Route", "component/discovery", frameLimit, true, true},
	RouteAckCode:           {RouteAckCode, "RouteAck", "component/discovery", hopLimit, true, true},
	RecordCode:             {RecordCode, "Record", "component/discovery", recordLimit, true, true},
	DialBackRequestCode:    {DialBackRequestCode, "DialBackRequest", "component/reach", dialBackLimit, true, true},
	DialBackResponseCode:   {DialBackResponseCode, "DialBackResponse", "component/reach", dialBackLimit, true, true},
	NoReplyCode:            {NoReplyCode, "NoReply", "the engine", noReplyLimit, true, true},
}

// FactsOf returns the facts of a library code; false for numbers that are not assigned and for application codes.
// It is an array lookup and may be called from any goroutine.
func FactsOf(c Opcode) (Facts, bool) {
	if c >= Opcode(len(facts)) || facts[c].Name == "" {
		return Facts{}, false
	}
	return facts[c], true
}

// All returns the facts of every assigned library code in the order of their numbers, in a slice of the caller's own.
func All() []Facts {
	all := make([]Facts, 0, len(facts))
	for _, f := range facts {
		if f.Name != "" {
			all = append(all, f)
		}
	}
	return all
}

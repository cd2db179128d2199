package main

import "github.com/carrier-p2p/carrier/bench/load"

type onewayCommand struct {
	loadFlags
	paceFlags `set:"rated=Messages"`
	sizeFlags
	Conns int `help:"Connections." default:"1"`
}

func (onewayCommand) Help() string {
	return `The clock stops when the last message has arrived. At a rate, latency counts from the planned time of each message to its
arrival, by the wall clock of both ends: only meaningful where they share one. Service time counts from when it really left.

  p2pbench oneway --size 64KiB
  p2pbench oneway --sizes 64:70,1KiB:25,64KiB:5 --rate 10000
  p2pbench oneway --conns 1000 --against tls --rounds 5`
}

func (c *onewayCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(c.sizeFlags.set(load.Config{Scenario: load.OneWay, Conns: c.Conns})))
}

type rpcCommand struct {
	loadFlags
	paceFlags `set:"rated=Requests"`
	sizeFlags
	Conns      int      `help:"Connections." default:"1"`
	Inflight   int      `help:"Requests under way on each connection." default:"1"`
	AnswerSize byteSize `help:"Bytes of an answer; 0: the request's own come back." default:"0"`
}

func (rpcCommand) Help() string {
	return `At a rate, two latencies are printed: from when the request should have been sent (what a user would feel), and from
when it was (service time). A closed loop shows throughput; its latencies are those of a saturated system.

  p2pbench rpc --inflight 64
  p2pbench rpc --conns 1000 --rate 20000 --arrival poisson
  p2pbench rpc --inflight 16 --stages 5s:0..20k,10s:20k,5s:20k..0 --out load.html
  p2pbench rpc --inflight 64 --find-max --slo 'p99<2ms'`
}

func (c *rpcCommand) config() load.Config {
	return c.paceFlags.set(c.sizeFlags.set(load.Config{
		Scenario: load.RPC, Conns: c.Conns, Inflight: c.Inflight, AnswerSize: int(c.AnswerSize),
	}))
}

func (c *rpcCommand) Run(a *app) error { return a.scenario(&c.loadFlags, c.config()) }

type soakCommand struct{ rpcCommand }

func (soakCommand) Help() string {
	return `Requests for long. At the end memory, goroutines, processor time and latencies of the whole time are tested for a trend (Mann and
Kendall); what went one way by more than a tenth is printed, and the exit code is 4.

  p2pbench soak --duration 1h --conns 100 --rate 2000 --out soak.html`
}

func (c *soakCommand) Run(a *app) error {
	config := c.rpcCommand.config()
	config.Scenario = load.Soak
	return a.scenario(&c.loadFlags, config)
}

type streamCommand struct {
	loadFlags
	paceFlags `set:"rated=Pieces"`
	Conns     int      `help:"Connections." default:"1"`
	Size      byteSize `help:"Bytes of a piece." default:"64KiB"`
	Direction string   `help:"up, down (pieces are asked for, several at once), or both at the same time." enum:"up,down,both" default:"up"`
	Inflight  int      `help:"Pieces asked for at once on each connection, for down and both; 0: 16." default:"0"`
}

func (streamCommand) Help() string {
	return `Bulk, in one direction or both.

  p2pbench stream
  p2pbench stream --direction both --conns 4 --size 256KiB`
}

func (c *streamCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(load.Config{
		Scenario: load.Stream, Conns: c.Conns, Size: int(c.Size), Direction: c.Direction, Inflight: c.Inflight,
	}))
}

type connectCommand struct {
	loadFlags
	paceFlags `set:"rated=Dials"`
	Conns     int `help:"Dials under way at once." default:"64"`
}

func (connectCommand) Help() string {
	return `A handshake counts when both ends say that it is finished.

  p2pbench connect --conns 64 --against tls-mlkem
  p2pbench connect --rate 500`
}

func (c *connectCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(load.Config{Scenario: load.Connect, Conns: c.Conns}))
}

type churnCommand struct {
	loadFlags
	paceFlags `set:"rated=Connections"`
	Conns     int `help:"Connections open at any time." default:"100"`
}

func (churnCommand) Help() string {
	return `Connections are replaced again and again: close, dial, one request. At the end all are closed, and what the serving side then
still holds is printed: goroutines, and heap for each connection there has been.

  p2pbench churn --conns 100 --rate 200 --duration 1m`
}

func (c *churnCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(load.Config{Scenario: load.Churn, Conns: c.Conns}))
}

type holdCommand struct {
	loadFlags
	Conns   int `aliases:"peers" help:"Connections." default:"1000"`
	Dialers int `help:"Dialling processes that share the connections; 0: this one dials." default:"0" placeholder:"N"`
}

func (holdCommand) Help() string {
	return `Memory is read after two collections and after free pages went back to the system. Then 50 of the connections, picked at
random, must still answer; with --dialers, 50 of each process's. Both sides need a file descriptor for each connection, but
over UDP: see 'ulimit -n'. The second example takes minutes, and 10 GB.

  p2pbench hold --conns 10000 --duration 10s
  p2pbench hold --transport udp --conns 200000 --dialers 4 --warmup 1m`
}

func (c *holdCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{Scenario: load.Hold, Conns: c.Conns, Dialers: c.Dialers})
}

type fanoutCommand struct {
	loadFlags
	paceFlags `set:"rated=Rounds"`
	Conns     int      `help:"Connections." default:"1000"`
	Size      byteSize `help:"Bytes of a message." default:"1KiB"`
}

func (fanoutCommand) Help() string {
	return `In a closed loop latency is that of a whole round: from the first sending to the word that the last connection has it. At a rate
nobody waits for a round's end, and latency is that of each delivery from the planned time of its round.

  p2pbench fanout --conns 1000 --size 1KiB
  p2pbench broadcast --conns 1000 --rate 50`
}

func (c *fanoutCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(load.Config{Scenario: load.FanOut, Conns: c.Conns, Size: int(c.Size)}))
}

type mixedCommand struct {
	loadFlags
	paceFlags `set:"rated=Requests"`
	Conns     int      `help:"Connections, each with a stream and requests." default:"1"`
	Inflight  int      `help:"Requests under way on each connection." default:"1"`
	Size      byteSize `help:"Bytes of a request." default:"64"`
	BulkSize  byteSize `help:"Bytes of a message of the stream." default:"64KiB"`
}

func (mixedCommand) Help() string {
	return `First the stream runs alone, then with the requests: how long they take, and how much of the stream's rate is left.

  p2pbench mixed --bulk-size 64KiB`
}

func (c *mixedCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, c.paceFlags.set(load.Config{
		Scenario: load.Mixed, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), BulkSize: int(c.BulkSize),
	}))
}

type stormCommand struct {
	loadFlags
	paceFlags `set:"rated=Requests"`
	Conns     int       `help:"Dials under way at once in the storm, which comes from a process of its own." default:"64"`
	Inflight  int       `help:"Requests under way on the one established connection." default:"1"`
	Size      byteSize  `help:"Bytes of a request." default:"64"`
	Spoof     bool      `help:"The strangers begin handshakes from made-up addresses and hear no answer: over udp."`
	SpoofRate perSecond `help:"With --spoof: handshakes a second, evenly; 0: as many as one processor can." default:"20000"`
}

func (stormCommand) Help() string {
	return `First the requests run alone, then while strangers dial, shake hands and close.

With --spoof they come from everywhere and nowhere. Three things take short turns until each has had --duration: the requests
alone; as many datagrams to where nobody reads; and to the serving side. So three p99s are printed, each the median of its turns',
and the median of the last one's ratios to the others; also what was begun, the serving side's processor time for each million of
it, what share of its bytes was answered, and what the serving side keeps of it. The second example begins a million.

  p2pbench storm --conns 64 --rate 2000
  p2pbench storm --transport udp --spoof --rate 1000 --duration 50s`
}

func (c *stormCommand) Run(a *app) error {
	config := load.Config{Scenario: load.Storm, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), Spoof: c.Spoof}
	if c.Spoof {
		config.SpoofRate = float64(c.SpoofRate)
	}
	return a.scenario(&c.loadFlags, c.paceFlags.set(config))
}

type slowCommand struct {
	loadFlags
	Conns    int       `help:"Connections that go on." default:"1000"`
	Inflight int       `help:"Requests under way on each of them." default:"1"`
	Size     byteSize  `help:"Bytes of their requests." default:"64"`
	BulkSize byteSize  `help:"Bytes of a request of the one that reads no answers." default:"1KiB"`
	Rate     perSecond `help:"Requests a second in all; 0: closed loop." default:"2000"`
}

func (slowCommand) Help() string {
	return `First all connections make requests, then one more peer sends requests as fast as they are taken and reads no answer. What
counts is what the others feel, and what the serving side keeps for the one.

  p2pbench slow --conns 1000 --rate 2000`
}

func (c *slowCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{
		Scenario: load.Slow, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), BulkSize: int(c.BulkSize), Rate: float64(c.Rate),
	})
}

package main

import "github.com/carrier-p2p/carrier/bench/load"

type onewayCommand struct {
	loadFlags
	Conns int      `help:"Connections." default:"1"`
	Size  byteSize `help:"Bytes of a message: 64, 1KiB." default:"64"`
	Rate  float64  `help:"Messages a second in all: open loop, with latencies. 0: as fast as they are taken." default:"0"`
}

func (onewayCommand) Help() string {
	return `The clock stops when the last message has arrived. At a rate, latency counts from the planned time of each message to its
arrival, by the wall clock of both ends: only meaningful where they share one.

  p2pbench oneway --size 64KiB
  p2pbench oneway --conns 1000 --against tls --rounds 5`
}

func (c *onewayCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{Scenario: load.OneWay, Conns: c.Conns, Size: int(c.Size), Rate: c.Rate})
}

type rpcCommand struct {
	loadFlags
	Conns    int      `help:"Connections." default:"1"`
	Inflight int      `help:"Requests under way on each connection." default:"1"`
	Size     byteSize `help:"Bytes of a request, and of its answer: 64, 1KiB." default:"64"`
	Rate     float64  `help:"Requests a second in all: open loop, latency from planned times. 0: closed loop." default:"0"`
}

func (rpcCommand) Help() string {
	return `At a rate, two latencies are printed: from when the request should have been sent (what a user would feel), and from
when it was (service time). A closed loop shows throughput; its latencies are those of a saturated system.

  p2pbench rpc --inflight 64
  p2pbench rpc --conns 1000 --rate 20000`
}

func (c *rpcCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{
		Scenario: load.RPC, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), Rate: c.Rate,
	})
}

type connectCommand struct {
	loadFlags
	Conns int `help:"Dials under way at once." default:"64"`
}

func (connectCommand) Help() string {
	return `A handshake counts when both ends say that it is finished.

  p2pbench connect --conns 64 --against tls-mlkem`
}

func (c *connectCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{Scenario: load.Connect, Conns: c.Conns})
}

type holdCommand struct {
	loadFlags
	Conns int `help:"Connections." default:"1000"`
}

func (holdCommand) Help() string {
	return `Memory is read after two collections and after free pages went back to the system. Then 50 of the connections, picked at
random, must still answer. Both processes need a file descriptor for each connection: see 'ulimit -n'.

  p2pbench hold --conns 10000 --duration 10s`
}

func (c *holdCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{Scenario: load.Hold, Conns: c.Conns})
}

type fanoutCommand struct {
	loadFlags
	Conns int      `help:"Connections." default:"1000"`
	Size  byteSize `help:"Bytes of a message." default:"1KiB"`
}

func (fanoutCommand) Help() string {
	return `Latency is that of a whole round: from the first sending to the word that the last connection has it.

  p2pbench fanout --conns 1000 --size 1KiB`
}

func (c *fanoutCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{Scenario: load.FanOut, Conns: c.Conns, Size: int(c.Size)})
}

type mixedCommand struct {
	loadFlags
	Conns    int      `help:"Connections, each with a stream and requests." default:"1"`
	Inflight int      `help:"Requests under way on each connection." default:"1"`
	Size     byteSize `help:"Bytes of a request." default:"64"`
	BulkSize byteSize `help:"Bytes of a message of the stream." default:"64KiB"`
	Rate     float64  `help:"Requests a second in all; 0: closed loop." default:"0"`
}

func (mixedCommand) Help() string {
	return `First the stream runs alone, then with the requests: how long they take, and how much of the stream's rate is left.

  p2pbench mixed --bulk-size 64KiB`
}

func (c *mixedCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{
		Scenario: load.Mixed, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), BulkSize: int(c.BulkSize), Rate: c.Rate,
	})
}

type stormCommand struct {
	loadFlags
	Conns    int      `help:"Dials under way at once in the storm, which comes from a process of its own." default:"64"`
	Inflight int      `help:"Requests under way on the one established connection." default:"1"`
	Size     byteSize `help:"Bytes of a request." default:"64"`
	Rate     float64  `help:"Requests a second; 0: closed loop." default:"0"`
}

func (stormCommand) Help() string {
	return `First the requests run alone, then while strangers dial, shake hands and close.

  p2pbench storm --conns 64 --rate 2000`
}

func (c *stormCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{
		Scenario: load.Storm, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), Rate: c.Rate,
	})
}

type slowCommand struct {
	loadFlags
	Conns    int      `help:"Connections that go on." default:"1000"`
	Inflight int      `help:"Requests under way on each of them." default:"1"`
	Size     byteSize `help:"Bytes of their requests." default:"64"`
	BulkSize byteSize `help:"Bytes of a request of the one that reads no answers." default:"1KiB"`
	Rate     float64  `help:"Requests a second in all; 0: closed loop." default:"2000"`
}

func (slowCommand) Help() string {
	return `First all connections make requests, then one more peer sends requests as fast as they are taken and reads no answer. What
counts is what the others feel, and what the serving side keeps for the one.

  p2pbench slow --conns 1000 --rate 2000`
}

func (c *slowCommand) Run(a *app) error {
	return a.scenario(&c.loadFlags, load.Config{
		Scenario: load.Slow, Conns: c.Conns, Inflight: c.Inflight, Size: int(c.Size), BulkSize: int(c.BulkSize), Rate: c.Rate,
	})
}

package reach

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func testJudge(voters int) *judge { return newJudge(voters, rand.New(rand.NewPCG(1, 2)), 0) }

func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{30, byte(i), 0, 0}), groupBits4)
}

func somewhere(i int) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{25, 0, 0, byte(i)}), 4001)}
}

// hold holds a round about addresses in which network i says says[i] of each of them, one after the other.
func (j *judge) hold(now time.Duration, addrs int, says ...Answer) {
	var list []transport.Addr
	for i := range addrs {
		list = append(list, somewhere(i))
	}
	j.begin(list)
	next := 0
	for nonce := uint64(1); j.running; nonce++ {
		if _, more := j.wanted(); more && next < len(says) {
			j.ask(now, identity.ID{byte(next)}, network(next), nonce)
			j.answered(nonce, says[next])
			next++
		} else {
			left := len(j.left)
			j.settle(now, more)
			if next = 0; j.running && len(j.left) == left {
				panic("stuck")
			}
		}
	}
}

const (
	yes = Reached
	no  = NotReached
	abs = Abstained
)

// What a round of answers says of a node of which nothing is known.
func TestRounds(t *testing.T) {
	for _, x := range []struct {
		name  string
		addrs int
		says  []Answer
		want  Verdict
	}{
		{"all yes", 1, []Answer{yes, yes, yes}, Reachable},
		{"three of four", 1, []Answer{yes, no, yes, yes}, Reachable},
		{"three of four not", 1, []Answer{no, no, yes, no}, Unreachable},
		{"a tie", 1, []Answer{yes, no, yes, no}, Unknown},
		{"a tie is not broken by a fifth", 1, []Answer{yes, no, yes, no, yes, yes}, Unknown},
		{"two of three", 1, []Answer{yes, no, yes}, Reachable},
		{"two", 1, []Answer{yes, yes}, Unknown},
		{"nobody", 1, nil, Unknown},
		{"those who abstain have no vote", 1, []Answer{abs, abs, abs, no, no, no}, Unreachable},
		{"and too many of them make no verdict", 1, []Answer{abs, abs, abs, abs, abs, no, abs, no, yes, yes, yes}, Unknown},
		{"every address", 2, []Answer{no, no, no}, Unreachable},
	} {
		t.Run(x.name, func(t *testing.T) {
			j := testJudge(4)
			j.hold(0, x.addrs, x.says...)
			if j.verdict != x.want {
				t.Errorf("%v, want %v: %+v", j.verdict, x.want, j.votes)
			}
		})
	}
}

// One address that works is enough, and an address about which nothing could be found out keeps the others from deciding.
func TestSeveralAddresses(t *testing.T) {
	say := func(j *judge, first, second []Answer) {
		j.begin([]transport.Addr{somewhere(0), somewhere(1)})
		nonce := uint64(0)
		for i, says := range [][]Answer{first, second} {
			for k, a := range says {
				if at, more := j.wanted(); !more || at != somewhere(i) {
					return
				}
				nonce++
				j.ask(0, identity.ID{byte(k)}, network(k), nonce)
				j.answered(nonce, a)
			}
			j.settle(0, true)
		}
	}
	for name, x := range map[string]struct {
		first, second []Answer
		want          Verdict
		at            transport.Addr
	}{
		"the second works":        {[]Answer{no, no, no}, []Answer{yes, yes, yes}, Reachable, somewhere(1)},
		"the first is unknown":    {[]Answer{abs, no}, []Answer{no, no, no}, Unknown, transport.Addr{}},
		"the second is unknown":   {[]Answer{no, no, no}, []Answer{no, abs}, Unknown, transport.Addr{}},
		"the first works already": {[]Answer{yes, yes, yes}, []Answer{no, no, no}, Reachable, somewhere(0)},
	} {
		j := testJudge(4)
		say(j, x.first, x.second)
		if j.running || j.verdict != x.want || j.addr != x.at {
			t.Errorf("%s: %v at %v, running %v", name, j.verdict, j.addr, j.running)
		}
	}
}

// A verdict is turned by two rounds, not by one; after other addresses by one. Rounds without a verdict turn nothing.
func TestHysteresis(t *testing.T) {
	j := testJudge(4)
	j.hold(0, 1, yes, yes, yes)
	for i, x := range []struct {
		says  []Answer
		other bool // addresses
		want  Verdict
	}{
		{[]Answer{no, no, no}, false, Reachable},
		{[]Answer{yes, yes, yes}, false, Reachable},
		{[]Answer{no, no, no}, false, Reachable},
		{[]Answer{yes, no}, false, Reachable},
		{[]Answer{no, no, no}, false, Unreachable},
		{[]Answer{yes, yes, yes}, false, Unreachable},
		{[]Answer{yes, yes, yes}, false, Reachable},
		{[]Answer{yes, no}, true, Reachable},
		{[]Answer{no, no, no}, false, Unreachable},
	} {
		if x.other {
			j.changed(0)
		}
		if j.hold(0, 1, x.says...); j.verdict != x.want {
			t.Errorf("%d: %v, want %v", i, j.verdict, x.want)
		}
	}
}

// When it looks again: soon where there is doubt, seldom where all is as it was, and not all nodes at once.
func TestWhenItLooksAgain(t *testing.T) {
	j := testJudge(4)
	around := func(what string, want time.Duration) {
		t.Helper()
		if got := j.nextAt; got < want*3/4 || got > want*5/4 {
			t.Errorf("%s: in %v, want about %v", what, got, want)
		}
	}
	around("at the start", firstAfter)
	for _, want := range []time.Duration{againFirst, 2 * againFirst, 4 * againFirst} {
		j.hold(0, 1, yes)
		around("without a verdict", want)
	}
	for range 20 {
		j.hold(0, 1, yes)
	}
	around("still without", againLast)
	for _, want := range []time.Duration{checkFirst, 2 * checkFirst, 4 * checkFirst, 8 * checkFirst, checkLast, checkLast} {
		j.hold(0, 1, yes, yes, yes)
		around("the same again", want)
	}
	j.hold(0, 1, no, no, no)
	around("another verdict", confirmAfter)
	j.hold(0, 1, yes, yes, yes)
	around("it was nothing", checkFirst)
	j.hold(0, 1, yes)
	j.doubt(0)
	around("a doubt", firstAfter)
	other := newJudge(4, rand.New(rand.NewPCG(3, 4)), 0)
	other.hold(0, 1, yes, yes, yes)
	j.hold(0, 1, yes, yes, yes)
	if j.nextAt == other.nextAt {
		t.Error("two nodes look at the same moment")
	}
}

// Whatever is answered, late, twice or never, a round ends, with at most one vote of a network and a bounded number of
// questions, and fewer liars than honest networks among those that answered never decide.
func TestRoundsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		voters := rapid.IntRange(quorum, votersMost).Draw(t, "voters")
		says := rapid.SliceOfN(rapid.SampledFrom([]Answer{yes, no, abs, Pending}), 0, 40).Draw(t, "says")
		j := testJudge(voters)
		j.begin([]transport.Addr{somewhere(0)})
		now, next := time.Duration(0), 0
		for j.running {
			if _, more := j.wanted(); more && next < len(says) {
				nonce := uint64(next + 1)
				j.ask(now, identity.ID{byte(next)}, network(next), nonce)
				if says[next] != Pending {
					j.answered(nonce, says[next])
					j.answered(nonce, yes) // once is enough
				}
				next++
			} else if !j.settle(now, more) {
				now = j.deadline()
				j.expire(now)
			}
		}
		counts, networks := map[Answer]int{}, map[netip.Prefix]bool{}
		for _, v := range j.votes {
			counts[v.Answer]++
			networks[v.Network] = true
		}
		switch {
		case len(j.votes) > voters+spareAsks || len(networks) != len(j.votes):
			t.Fatalf("%d questions to %d networks", len(j.votes), len(networks))
		case j.verdict == Reachable && (counts[yes] <= counts[no] || counts[yes]+counts[no] < quorum && 2*counts[yes] <= voters):
			t.Fatalf("reachable by %v", counts)
		case j.verdict == Unreachable && counts[no] <= counts[yes]:
			t.Fatalf("unreachable by %v", counts)
		}
	})
}

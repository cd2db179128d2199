package engine_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A task runs soon after it was woken, however often, at the time it was set for, and never after its Stop.
func TestTask(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(nil)
	var ran []time.Duration
	var task *engine.Task
	task = n.HomeLoop().NewTask("test", func() {
		ran = append(ran, n.Now())
		switch len(ran) {
		case 1:
			task.WakeAt(n.Now() + time.Hour)
			task.WakeAt(n.Now() + 30*time.Millisecond) // the last word counts
		case 2:
			task.WakeAt(math.MaxInt64)
		}
	})
	for range 5 {
		task.Wake()
	}
	began := n.Now()
	w.Pass(2 * time.Hour)
	if len(ran) != 2 || ran[0] > began+time.Millisecond || ran[1] < ran[0]+30*time.Millisecond || ran[1] > ran[0]+31*time.Millisecond {
		t.Fatalf("woken at %v, ran at %v: want at once, and 30 ms later", began, ran)
	}
	if s := n.Stats().Tasks["test"]; s.Runs != 2 || s.Held[0] != 2 {
		t.Errorf("counted %+v", s)
	}
	task.Wake()
	n.HomeLoop().Post(task.Stop)
	w.Pass(time.Second)
	task.Wake()
	n.HomeLoop().Post(func() { task.WakeAt(n.Now()) })
	w.Pass(time.Second)
	if len(ran) != 3 {
		t.Errorf("ran %d times, want once more, before Stop", len(ran))
	}
	if _, there := n.Stats().Tasks["test"]; there {
		t.Error("a stopped task is still counted")
	}
}

// With TaskWork the processor time of a run is counted, and waiting is not.
func TestTaskWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the time of a thread")
	}
	w := liveWorld(t)
	for _, asked := range []bool{true, false} {
		n := w.node(func(c *engine.Config) { c.TaskWork = asked })
		ran := make(chan struct{}, 2)
		sum := 0
		work := func(name string, f func()) {
			n.HomeLoop().NewTask(name, func() { f(); ran <- struct{}{} }).Wake()
			<-ran
		}
		work("idle", func() {})
		work("busy", func() {
			for i := range 20_000_000 { // some milliseconds on any machine
				sum += i * sum
			}
		})
		sums := func(h [6]int64) (n int64) {
			for _, x := range h {
				n += x
			}
			return n
		}
		w.Until("both to be counted", func() bool { // what a run has worked is counted last
			s := n.Stats().Tasks
			runs := s["idle"].Runs + s["busy"].Runs
			return runs == 2 && (!asked || sums(s["idle"].Worked)+sums(s["busy"].Worked) == runs)
		})
		idle, busy := n.Stats().Tasks["idle"], n.Stats().Tasks["busy"]
		if asked && (busy.LongestWork <= time.Millisecond || busy.LongestWork > busy.Longest+time.Millisecond || // the clock of the thread is read outside
			busy.Worked[0] != 0 || idle.LongestWork >= busy.LongestWork) {
			t.Errorf("busy %+v, idle %+v", busy, idle)
		}
		if !asked && (busy.LongestWork != 0 || busy.Worked != [len(busy.Worked)]int64{}) {
			t.Errorf("measured although nobody has asked: %+v", busy)
		}
	}
}

// A task that is woken while it runs runs once more.
func TestTaskWokenMeanwhile(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(nil)
	ran := 0
	var task *engine.Task
	task = n.HomeLoop().NewTask("test", func() {
		if ran++; ran < 3 {
			task.Wake()
			task.Wake()
		}
	})
	task.Wake()
	w.Pass(time.Second)
	if ran != 3 {
		t.Errorf("ran %d times, want 3", ran)
	}
}

// A task that panics runs again.
func TestTaskPanics(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(nil)
	ran := 0
	task := n.HomeLoop().NewTask("test", func() { ran++; panic("test") })
	task.Wake()
	w.Pass(time.Second)
	task.Wake()
	w.Pass(time.Second)
	if s := n.Stats(); ran != 2 || s.Panics != 2 || s.Tasks["test"].Runs != 2 {
		t.Errorf("ran %d times, %d panics, %+v", ran, s.Panics, s.Tasks["test"])
	}
}

// Waking a task and setting its time allocates nothing.
func TestTaskAllocs(t *testing.T) {
	skipFigures(t)
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(nil)
	ran := 0
	var task *engine.Task
	task = n.HomeLoop().NewTask("test", func() { ran++; task.WakeAt(n.Now() + time.Minute) })
	turn := func() { task.Wake(); w.Net().Step() }
	turn()
	before := ran
	if got := testing.AllocsPerRun(100, turn); got != 0 || ran == before {
		t.Errorf("%v allocations per run, promised 0; ran %d times", got, ran-before)
	}
}

package engine

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
)

// A Task is a function that a Loop runs again and again: soon after a Wake, and when the time comes that was set with
// WakeAt. It is how a machine with events and deadlines lives on a loop. Neither call allocates. How long each run holds
// the loop is in Stats.Tasks, under the task's name.
//
// A Task belongs to its Loop; Wake alone may be called from any goroutine.
type Task struct {
	loop   *loop
	slot   *slot // stands for it where code is named that holds a loop, or panics
	f      func()
	once   func() // turn, as a value that is made once
	timer  timer.Timer
	over   bool        // owned by the loop
	waking atomic.Bool // posted and not begun yet
	times  taskTimes
	work   taskTimes // with Config.TaskWork
}

// NewTask makes a Task of f, which nobody has asked to run yet. Any goroutine; the network must have started. It is
// counted until Stop.
func (l Loop) NewTask(name string, f func()) *Task {
	t := &Task{loop: l.loop, slot: &slot{name: name}, f: f}
	t.once = t.turn
	t.timer.Fire = func(time.Duration) { t.turn() }
	l.loop.net.tasks.add(t)
	return t
}

// Wake has the task run soon. Several calls before it does are one. Any goroutine.
func (t *Task) Wake() {
	if t.waking.CompareAndSwap(false, true) {
		t.loop.post(t.once)
	}
}

// WakeAt has the task run when the engine time is at, to the millisecond, instead of at the time set before. A time that
// has passed is now; the largest Duration is never. On the task's loop only.
func (t *Task) WakeAt(at time.Duration) {
	if !t.over {
		t.loop.wheel.Set(&t.timer, at)
	}
}

// Stop ends the task: it does not run any more. On its loop only.
func (t *Task) Stop() {
	t.over = true
	t.loop.wheel.Stop(&t.timer)
	t.loop.net.tasks.remove(t)
}

// turn runs the task once.
func (t *Task) turn() {
	t.waking.Store(false) // first: what comes from here on is seen by the next turn
	if t.over {
		return
	}
	if t.loop.net.cfg.TaskWork {
		runtime.LockOSThread() // or the two readings might be of different threads
		worked := threadTime()
		defer func() {
			t.work.add(threadTime() - worked)
			runtime.UnlockOSThread()
		}()
	}
	began := t.loop.port.Now()
	t.loop.guard(t.slot, t.f)
	t.times.add(t.loop.port.Now() - began)
}

// TaskStats says how often tasks of one name have run, and how long they held their loops.
type TaskStats struct {
	Runs    int64
	Longest time.Duration

	// Held counts the runs by how long they took: Held[i] at most TaskBounds[i] and more than the bound before, the last
	// one more than every bound.
	Held [len(TaskBounds) + 1]int64

	// Worked and LongestWork are the same of the processor time that the runs took, with Config.TaskWork, on Linux: what the
	// scheduler gave to others meanwhile is not in them.
	Worked      [len(TaskBounds) + 1]int64
	LongestWork time.Duration
}

// TaskBounds are the bounds of TaskStats.Held. A millisecond is what the peers of a loop notice.
var TaskBounds = [...]time.Duration{10 * time.Microsecond, 100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 10 * time.Millisecond}

// taskTimes is what TaskStats is made of. Written by the loop, read by anybody.
type taskTimes struct {
	runs, longest atomic.Int64
	held          [len(TaskBounds) + 1]atomic.Int64
}

func (c *taskTimes) add(took time.Duration) {
	i := 0
	for i < len(TaskBounds) && took > TaskBounds[i] {
		i++
	}
	c.runs.Add(1)
	c.held[i].Add(1)
	if int64(took) > c.longest.Load() {
		c.longest.Store(int64(took))
	}
}

// tasks are those of a network. Any goroutine.
type tasks struct {
	mu  sync.Mutex
	all []*Task
}

func (s *tasks) add(t *Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, t)
}

func (s *tasks) remove(t *Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(have *Task) bool { return have == t })
}

// stats sums up by name.
func (s *tasks) stats() map[string]TaskStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := map[string]TaskStats{}
	for _, t := range s.all {
		sum := sums[t.slot.name]
		sum.Runs += t.times.runs.Load()
		sum.Longest = max(sum.Longest, time.Duration(t.times.longest.Load()))
		sum.LongestWork = max(sum.LongestWork, time.Duration(t.work.longest.Load()))
		for i := range sum.Held {
			sum.Held[i] += t.times.held[i].Load()
			sum.Worked[i] += t.work.held[i].Load()
		}
		sums[t.slot.name] = sum
	}
	return sums
}

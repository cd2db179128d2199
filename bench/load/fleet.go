package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A fleet is other processes that hold connections to the serving side. It belongs to the goroutine of the run.
type fleet struct {
	bench   *Bench
	land    context.CancelFunc // tells them to ask on some of their connections, and to end
	lost    context.Context    // done when one of them has failed, or the run is interrupted
	sink    context.CancelCauseFunc
	sailing sync.WaitGroup
	results []*Result // each is its process's goroutine's until that is done
}

// launch starts the dialling processes, each with its share of the connections.
func (b *Bench) launch(ctx context.Context) (*fleet, error) {
	if b.Fleet == nil || b.Server == nil {
		return nil, fmt.Errorf("%w: dialling processes want somebody who starts them, and a serving side that can be asked", ErrConfig)
	}
	afloat, land := context.WithCancel(context.WithoutCancel(ctx)) // after an interrupt they still have something to say
	f := &fleet{bench: b, land: land, results: make([]*Result, b.Config.Dialers)}
	f.lost, f.sink = context.WithCancelCause(ctx)
	for i := range f.results {
		conns := (b.Config.Conns + i) / b.Config.Dialers
		f.sailing.Go(func() {
			r, err := b.Fleet(afloat, conns)
			if err == nil && afloat.Err() == nil {
				err = errors.New("ended before it was told to")
			}
			if err != nil {
				f.sink(fmt.Errorf("load: dialling process %d: %w", i+1, err))
			}
			f.results[i] = r
		})
	}
	return f, nil
}

// recall ends the fleet and waits for it. Nil is a fleet that was never launched.
func (f *fleet) recall() {
	if f == nil {
		return
	}
	f.land()
	f.sailing.Wait()
	f.sink(nil)
}

// wait returns when the serving side has all connections.
func (f *fleet) wait() error {
	b := f.bench
	p := b.begin(f.lost, "dialling", 0)
	defer p.end()
	look := time.NewTicker(fleetEvery)
	defer look.Stop()
	for p.count.Load() < uint64(b.Config.Conns) {
		select {
		case <-f.lost.Done():
			return context.Cause(f.lost)
		case <-look.C:
		}
		s, err := b.Server.Sample()
		if err != nil {
			return err
		}
		p.count.Store(s.Counts.Opened - min(s.Counts.Opened, s.Counts.Closed))
		if gone := s.Counts.Closed; gone > 0 && s.Counts.Opened >= uint64(b.Config.Conns) && p.count.Load() < uint64(b.Config.Conns) {
			return fmt.Errorf("load: %d of %d connections ended before the last was dialled", gone, b.Config.Conns)
		}
	}
	b.result.Connections = b.Config.Conns
	return nil
}

// probe has each of them ask on some of its connections, and adds up what they used.
func (f *fleet) probe(context.Context) error {
	f.recall()                                                                         // after which lost is done
	if err := context.Cause(f.lost); err != nil && !errors.Is(err, context.Canceled) { // of an interrupted run the figures count
		return err
	}
	r := f.bench.result
	all := Side{}
	var asked float64
	for _, one := range f.results {
		if one == nil {
			continue
		}
		r.Messages += one.Messages
		asked += one.Figures["asked"]
		for kind, n := range one.Errors {
			r.fault(kind, n)
		}
		all.add(one.Client, float64(one.Connections)/float64(r.Connections))
	}
	r.Client = all
	r.figure("asked", asked)
	return nil
}

// add adds what a process of a share of the connections used.
func (s *Side) add(one Side, share float64) {
	s.CPUSeconds += one.CPUSeconds
	s.RSSBytes += one.RSSBytes
	s.HeapBytes += one.HeapBytes
	s.Goroutines += one.Goroutines
	s.HeapPerConn += one.HeapPerConn * share
	s.RSSPerConn += one.RSSPerConn * share
}

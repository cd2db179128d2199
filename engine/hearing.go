package engine

import "time"

// A listener is a transport's loop that knows how far it is behind with reading. What a loop that is none has not read is
// taken to be read soon after the loop has come to its turn.
type listener interface {
	// Behind is how long ago the loop had read everything that had come. On the loop.
	Behind() time.Duration
}

// Hearing is what a loop knows of the times in which it could not hear: it did not run, since others had the processor or a
// component held it, or there was more to read than it got done. What a peer has said meanwhile waits in a socket or is
// lost, so that such a time is no silence of the peer's. It belongs to the loop.
type hearing struct {
	deaf []span // in their order, apart from each other; at most deafLimit, the newest; nil mostly

	from, until time.Duration // it has been behind from then on, and was at the last look, which counts until then
}

type span struct{ from, to time.Duration }

// late notes that the loop did not run from then to now.
func (h *hearing) late(from, now time.Duration) {
	if now-from < deafAfter {
		return
	}
	if from <= h.until { // it was behind, and most likely is still
		h.until = now + deafGrace
	}
	h.add(from, now+deafGrace)
}

// behind notes that at the moment now the loop has not read all that has come since then. It will say so again and again, for
// as long as that lasts: beyond deafMost that is how it is, and who is not heard is not there.
func (h *hearing) behind(since, now time.Duration) {
	if now-since < deafAfter {
		return
	}
	if since > h.until {
		h.from = max(since, now-deafMost)
	}
	h.until = now + deafGrace
	to := min(h.until, h.from+deafMost)
	if last := len(h.deaf) - 1; last >= 0 && since <= h.deaf[last].to {
		h.deaf[last].to = max(h.deaf[last].to, to)
		return
	}
	h.add(max(since, h.from), to)
}

func (h *hearing) add(from, to time.Duration) {
	if last := len(h.deaf) - 1; last >= 0 {
		from = max(from, h.deaf[last].to)
	}
	if from >= to {
		return
	}
	if len(h.deaf) == deafLimit {
		h.deaf = append(h.deaf[:0], h.deaf[1:]...)
	}
	h.deaf = append(h.deaf, span{from, to})
}

// missed is how much of the time from then to now nothing could be heard.
func (h *hearing) missed(from, now time.Duration) (sum time.Duration) {
	for _, s := range h.deaf {
		sum += max(min(s.to, now)-max(s.from, from), 0)
	}
	return sum
}

// catchesUp reports whether a time in which nothing could be heard is not over yet.
func (h *hearing) catchesUp(now time.Duration) bool {
	return len(h.deaf) > 0 && h.deaf[len(h.deaf)-1].to > now
}

// listen takes down whether the loop has been able to hear until now. On the loop.
func (l *loop) listen() {
	if l.reads != nil {
		l.hearing.behind(l.now-l.reads.Behind(), l.now)
	}
}

// listened is how much of the time since then the loop could hear. On the loop.
func (l *loop) listened(since time.Duration) time.Duration {
	return l.now - since - l.hearing.missed(since, l.now)
}

// left is how much of limit is left, counted from since by the time in which the loop could hear. A loop that
// comes late reads what has waited before it judges, for deafGrace. On the loop.
func (l *loop) left(since, limit time.Duration) time.Duration {
	l.listen()
	left := limit - l.listened(since)
	if l.hearing.catchesUp(l.now) {
		left += deafGrace
	}
	return left
}

// heardNothing is how long the loop has listened to p, since p's last bytes, and heard nothing.
func (l *loop) heardNothing(p *PeerClient) time.Duration {
	return l.listened(time.Duration(p.heardAt.Load()))
}

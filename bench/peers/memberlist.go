package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/carrier-p2p/carrier/bench/load"
)

// memberlistDriver is hashicorp/memberlist: user messages between members of a cluster. Reliable ones have a TCP connection each;
// best-effort ones are a datagram each and may be lost.
//
// A message is u8 kind, u16 port and u64 name of its sender, u64 place among its sender's, all little endian, and the payload.
type memberlistDriver struct{ datagrams bool }

const (
	memberMessage byte = iota
	memberRequest
	memberAnswer
	memberSign // of a window; its answer is a memberAnswer

	memberHeader = 19

	// memberDatagram is the longest payload of a datagram: what UDPBufferSize leaves of 1400 bytes after encryption and headers.
	memberDatagram = 1300

	// membersLimit is how many members of one cluster this machine's one process can stand for: all of them probe and gossip, and
	// tell each other of all others.
	membersLimit = 100

	// memberWindow is how many best-effort messages may be under way between two signs: a socket's buffer holds some 250 small
	// datagrams unless its owner may ask the kernel for more.
	memberWindow = 64

	memberPatience = 10 * time.Second // with an answer: best effort may lose it
)

func (d memberlistDriver) Name() string {
	if d.datagrams {
		return "memberlist-udp"
	}
	return "memberlist"
}

func (memberlistDriver) Version() string { return moduleVersion("github.com/hashicorp/memberlist") }

// A member is a node with what it hears.
type member struct {
	list      *memberlist.Memberlist
	datagrams bool
	name      uint64
	port      uint16
	hear      func(kind byte, port uint16, from, place uint64, payload []byte)
}

// newMember makes one that listens on loopback. Compression is off: it would be for nothing, as the pattern of the benchmark does
// not compress.
func (d memberlistDriver) newMember(key []byte, hear func(kind byte, port uint16, from, place uint64, payload []byte)) (*member, error) {
	var name [8]byte
	_, _ = rand.Read(name[:])
	m := &member{datagrams: d.datagrams, name: binary.LittleEndian.Uint64(name[:]), hear: hear}
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort = hex.EncodeToString(name[:]), "127.0.0.1", 0
	c.SecretKey, c.EnableCompression, c.LogOutput, c.Delegate = key, false, io.Discard, m
	c.HandoffQueueDepth = 16 << 10
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, err
	}
	m.list, m.port = list, list.LocalNode().Port
	return m, nil
}

// send is the library's way to say something to one member.
func (m *member) send(to *memberlist.Node, kind byte, place uint64, payload []byte) error {
	if m.datagrams && len(payload) > memberDatagram {
		return fmt.Errorf("%w: best-effort messages are a datagram of %d bytes at most", load.ErrCannot, memberDatagram)
	}
	msg := append(make([]byte, 0, memberHeader+len(payload)), kind)
	msg = binary.LittleEndian.AppendUint16(msg, m.port)
	msg = binary.LittleEndian.AppendUint64(msg, m.name)
	msg = append(binary.LittleEndian.AppendUint64(msg, place), payload...)
	if m.datagrams {
		return m.list.SendBestEffort(to, msg)
	}
	return m.list.SendReliable(to, msg)
}

// NotifyMsg implements memberlist.Delegate.
func (m *member) NotifyMsg(msg []byte) {
	if len(msg) >= memberHeader {
		le := binary.LittleEndian
		m.hear(msg[0], le.Uint16(msg[1:]), le.Uint64(msg[3:]), le.Uint64(msg[11:]), msg[memberHeader:])
	}
}

func (*member) NodeMeta(int) []byte             { return nil }
func (*member) GetBroadcasts(_, _ int) [][]byte { return nil }
func (*member) LocalState(bool) []byte          { return nil }
func (*member) MergeRemoteState([]byte, bool)   {}

func memberAt(port uint16) *memberlist.Node {
	return &memberlist.Node{Addr: net.IPv4(127, 0, 0, 1), Port: port, PMax: memberlist.ProtocolVersionMax}
}

// Serve implements load.Driver.
func (d memberlistDriver) Serve(_ string, _ load.Shape, sink *load.Sink) (load.Server, error) {
	key := make([]byte, 32) // AES-256-GCM
	_, _ = rand.Read(key)
	s := &memberServer{sink: sink, key: key, by: map[uint64]*memberStream{}}
	m, err := d.newMember(key, s.hear)
	if err != nil {
		return nil, err
	}
	s.member = m
	return s, nil
}

type memberServer struct {
	member *member
	sink   *load.Sink
	key    []byte

	mu sync.Mutex
	by map[uint64]*memberStream // by the sender's name
}

// A memberStream puts a sender's messages in order: connections of their own overtake each other, and the queue of datagrams is
// emptied from its end.
type memberStream struct {
	mu       sync.Mutex
	receiver *load.Receiver
	next     uint64
	early    map[uint64][]byte
}

func (s *memberServer) stream(from uint64) *memberStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.by[from]
	if st == nil {
		st = &memberStream{receiver: s.sink.Open(), early: map[uint64][]byte{}}
		s.by[from] = st
	}
	return st
}

func (s *memberServer) hear(kind byte, port uint16, from, place uint64, payload []byte) {
	st := s.stream(from)
	switch kind {
	case memberMessage:
		st.message(place, payload)
	case memberRequest:
		st.mu.Lock() // a Receiver takes one call at a time
		answer := append([]byte(nil), st.receiver.Request(payload)...)
		st.mu.Unlock()
		_ = s.member.send(memberAt(port), memberAnswer, place, answer) // who hears nothing gives up
	case memberSign:
		_ = s.member.send(memberAt(port), memberAnswer, place, nil)
	}
}

func (st *memberStream) message(place uint64, payload []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if place != st.next {
		st.early[place] = append([]byte(nil), payload...)
		return
	}
	for ok := true; ok; payload, ok = st.early[st.next] {
		delete(st.early, st.next)
		st.receiver.Message(payload)
		st.next++
	}
}

// Addr is the port and the cluster's key.
func (s *memberServer) Addr() string {
	return fmt.Sprintf("127.0.0.1:%d/%s", s.member.port, hex.EncodeToString(s.key))
}

func (s *memberServer) Close() error { return s.member.list.Shutdown() }

// NewDialer implements load.Driver.
func (d memberlistDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	return memberDialer{d, shape}, nil
}

type memberDialer struct {
	memberlistDriver
	shape load.Shape
}

func (memberDialer) Close() error { return nil }

// Dial implements load.Dialer: a member of its own joins the cluster.
func (d memberDialer) Dial(_ context.Context, addr string, _ int) (load.Conn, error) {
	if d.shape.Idle || d.shape.Churn || d.shape.Conns > membersLimit {
		return nil, fmt.Errorf("%w: members of a cluster have no connections", load.ErrCannot)
	}
	at, digits, _ := strings.Cut(addr, "/")
	key, err := hex.DecodeString(digits)
	if err != nil {
		return nil, err
	}
	server, err := net.ResolveTCPAddr("tcp", at)
	if err != nil {
		return nil, err
	}
	c := &memberConn{to: memberAt(uint16(server.Port))}
	if c.member, err = d.newMember(key, c.hear); err != nil {
		return nil, err
	}
	if _, err := c.member.list.Join([]string{at}); err != nil {
		_ = c.member.list.Shutdown()
		return nil, err
	}
	c.window = newWindow(func() error {
		_, err := c.ask(memberSign, nil, nil)
		return err
	})
	return c, nil
}

type memberConn struct {
	member  *member
	to      *memberlist.Node
	place   uint64 // of the next message
	pending pending
	window  *window
}

func (c *memberConn) hear(kind byte, _ uint16, _, place uint64, payload []byte) {
	if kind == memberAnswer {
		c.pending.answered(uint32(place), append([]byte(nil), payload...))
	}
}

func (c *memberConn) Send(msg []byte) error {
	place := c.place
	c.place++
	if err := c.member.send(c.to, memberMessage, place, msg); err != nil {
		return err
	}
	if c.member.datagrams {
		return c.window.spent(windowBytes / memberWindow)
	}
	return c.window.spent(len(msg))
}

func (c *memberConn) Flush() error { return nil }

func (c *memberConn) Call(req, into []byte) ([]byte, error) { return c.ask(memberRequest, req, into) }

func (c *memberConn) ask(kind byte, req, into []byte) ([]byte, error) {
	id, answer, err := c.pending.begin()
	if err != nil {
		return into, err
	}
	if err := c.member.send(c.to, kind, uint64(id), req); err != nil {
		c.pending.answered(id, nil) // nobody else would
		_, _ = c.pending.finish(answer, nil)
		return into, err
	}
	late := time.AfterFunc(memberPatience, func() { c.pending.fail(fmt.Errorf("memberlist: no answer in %v", memberPatience)) })
	defer late.Stop()
	return c.pending.finish(answer, into)
}

// Close leaves at once: a goodbye is gossip, and nobody here would hear it.
func (c *memberConn) Close() error {
	c.pending.fail(nil)
	return c.member.list.Shutdown()
}

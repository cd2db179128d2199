// Package sim runs thousands of overlay nodes on a virtual clock: the cores of package skad themselves, not a
// model of them, with a network between them that delays, loses and divides, and with adversaries among them.
//
//	         ┌──────────── Network: one shard for each worker ────────────┐
//	         │  queue: what happens next, by time                         │
//	seed ──▶ │    │ flight          │ deadline                            │ ──▶ Report, trace hash
//	         │    ▼                 ▼                                     │
//	         │  Node: skad.Core  or  an adversary                         │
//	         │    │ Send                                                  │
//	         │    └─▶ latency, loss, sides ─▶ queue, here or in a shard   │
//	         │                                beside, when the window     │
//	         │                                is over                     │
//	         └────────────────────────────────────────────────────────────┘
//
// The same Config and the same calls give the same events in the same order on any number of processors and
// with any number of workers, which TraceHash proves: nothing depends on the clock of the machine, on the
// order of a map or on addresses in memory. So a failure is replayed from its seed.
//
// Nodes live at sites, and between two sites a message takes 9.5 ms at least. So the shards, which hold the
// nodes of some sites each, go through windows of that length at the same time without a word to each other,
// and exchange messages between two windows. What a node sees, and when, is the same whoever goes first:
// events of one instant have an order that comes from who has brought them about, and so has the luck of a
// message. Where somebody looks at many nodes at once (an adversary, which is of one mind; routers;
// broadcasts and routed messages, which are followed) one event comes after the other.
//
// What is simulated is the overlay, not the engine below it: a message takes half a round trip of the latency
// model whatever its length, sessions cost nothing to open, and a peer is who it says it is, because its
// session would have proven it. Whoever is not there, or on another side of a partition, is silent. Records
// are signed with a keyed hash instead of Ed25519 and checked where the core would check them, so a forged
// record is found out as it would be in earnest.
//
// Two ways to begin: Fill gives every node the table it would have in a network that has been still for long,
// which is what lookups are measured in; Joins lets nodes come one after the other through the real
// procedure. Then an experiment runs (Lookups, Routes, Broadcasts, Churn, Partition), and its Report has the
// figures.
//
// A Network belongs to one goroutine at a time, and has others of its own only while an experiment runs.
// Errors say that what was asked for makes no sense (ErrConfig, skad.ErrConfig, skad.ErrOptions,
// spread.ErrConfig), or are those of the context.
package sim

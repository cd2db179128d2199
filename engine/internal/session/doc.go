// Package session turns a connection's bytes into frames and frames into a connection's bytes. It has no socket, no
// goroutine, no lock and no clock: the engine gives it what arrived and takes from it what is to be written.
//
//	bytes in   ── Greeter.Next ──▶ handshake messages          until the session is open
//	           ── Receiver.Next ─▶ opened records              decrypted where they lie
//	frames out ── Batch.Append ──▶ records laid out for sealing ── Sender.Seal ──▶ bytes to write
//
// # Who owns what
//
// The two directions never meet. A Receiver belongs to the peer's loop. A Batch is filled under the peer's lock; once
// taken out for sending it belongs, with the Sender, to whoever owns the peer's flush.
//
// # Unsealed
//
// A link that seals what it carries, and has proven whose it is, needs no second seal: both ends then say StartUnsealed.
// Records keep their form, with 16 zero bytes for a tag, and a session of the one kind refuses the records of the other. The
// engine says so only over a transport.ProvenLink, after it has held the peer's record against the key that the link has
// proven.
//
// # What stays
//
// A session at rest keeps two keys and two counters (handshake.RecordKey), nothing else. Ciphers, the carry of a record
// that arrived in parts, and batches exist while they are used: Cool drops the ciphers, and buffers go back to a
// Buffers, which counts every byte that is out against the node's memory limit.
//
// # Errors
//
// Every error of Receiver and Greeter is the remote side's doing, or the path's, and ends the connection: after it the
// two ends no longer agree where a record begins or what its counter is. The exception is ErrMemory: our own limit.
package session

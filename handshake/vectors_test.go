package handshake

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/internal/vectors"
)

// The published vectors of Noise_XX_25519_AESGCM_SHA256, through the code that Machine uses.
// Transport messages go through RecordKey, so that they prove its nonces as well.
func TestNoiseVectors(t *testing.T) {
	all := vectors.Read(t, "testdata/noise_xx.txt").Blocks
	if len(all) != 5 {
		t.Fatalf("%d vectors, want 5", len(all))
	}
	transported := 0
	for i, b := range all {
		v := b.Value
		if v["handshake"] != "Noise_XX_25519_AESGCM_SHA256" {
			t.Fatalf("vector %d is for %s", i, v["handshake"])
		}
		state := func(initiator bool, static, ephemeral string) *noise {
			var private, public [keySize]byte
			copy(private[:], unhex(t, v[static]))
			publicKey(&public, &private)
			x, err := newNoise(initiator, private, public, unhex(t, v["prologue"]), bytes.NewReader(unhex(t, v[ephemeral])))
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		initiator, responder := state(true, "init_static", "gen_init_ephemeral"), state(false, "resp_static", "gen_resp_ephemeral")
		writer, reader := initiator, responder
		for _, n := range []string{"msg_0", "msg_1", "msg_2"} {
			payload, want := unhex(t, v[n+"_payload"]), unhex(t, v[n+"_ciphertext"])
			out, err := writer.write([]byte("before"), payload)
			if out = bytes.TrimPrefix(out, []byte("before")); err != nil || !bytes.Equal(out, want) {
				t.Fatalf("vector %d, %s: wrote %x, %v, want %x", i, n, out, err, want)
			}
			got, err := reader.read(out)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("vector %d, %s: read %x, %v, want %x", i, n, got, err, payload)
			}
			writer, reader = reader, writer
		}
		if initiator.transcript != responder.transcript || initiator.peerStatic != responder.staticPublic {
			t.Errorf("vector %d: the two ends do not agree", i)
		}
		var sent, read struct{ toResponder, toInitiator [keySize]byte }
		sent.toResponder, sent.toInitiator = initiator.split()
		read.toResponder, read.toInitiator = responder.split()
		for name, direction := range map[string][2][keySize]byte{
			"to_responder": {sent.toResponder, read.toResponder},
			"to_initiator": {sent.toInitiator, read.toInitiator},
		} {
			seal, open := RecordKey{key: direction[0]}, RecordKey{key: direction[1]}
			for number := 0; ; number++ {
				key := fmt.Sprintf("%s_%d", name, number)
				if _, ok := v[key+"_ciphertext"]; !ok {
					break
				}
				payload, want := unhex(t, v[key+"_payload"]), unhex(t, v[key+"_ciphertext"])
				body := append(bytes.Clone(payload), make([]byte, tagSize)...)
				if err := seal.SealWith(seal.Expand(), nil, body); err != nil || !bytes.Equal(body, want) {
					t.Errorf("vector %d, %s: sealed %x, %v, want %x", i, key, body, err, want)
				}
				if plain, err := open.Open(open.Expand(), nil, body); err != nil || !bytes.Equal(plain, payload) {
					t.Errorf("vector %d, %s: opened %x, %v, want %x", i, key, plain, err, payload)
				}
				transported++
			}
		}
	}
	if transported != 11 {
		t.Errorf("%d transport messages, want 11", transported)
	}
}

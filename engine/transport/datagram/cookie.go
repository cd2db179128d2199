package datagram

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A Secret is behind the cookies of one transport: all its loops share one, as a cookie may come back to another.
type Secret [32]byte

// A cookie is u32 second of its making | the first 16 bytes of HMAC-SHA256(secret, second | ip 16 | port 2 | id 8). It says
// that whoever has it received something at that address not long ago, and had chosen that id.
type cookie [cookieSize]byte

// A baker makes and checks cookies, without an allocation: strangers have many made. It belongs to the loop.
type baker struct {
	mac   hash.Hash // keyed with the Secret
	in    [4 + 16 + 2 + idSize]byte
	sum   [sha256.Size]byte
	fresh cookie
	dice  *rand.Rand
}

func newBaker(s *Secret) *baker {
	k := &baker{mac: hmac.New(sha256.New, s[:])}
	k.mac.Write([]byte("when cookies are due")) // shorter than what cookies are made of
	k.dice = rand.New(rand.NewChaCha8([32]byte(k.mac.Sum(nil))))
	return k
}

// bake returns a cookie, good until the next one.
func (k *baker) bake(now time.Duration, from netip.AddrPort, id ID) []byte {
	second := uint32(now / time.Second)
	binary.LittleEndian.PutUint32(k.fresh[:], second)
	copy(k.fresh[4:], k.over(second, from, id))
	return k.fresh[:]
}

// check reports whether c was made for that address and id within CookieLife.
func (k *baker) check(now time.Duration, from netip.AddrPort, id ID, c cookie) bool {
	second := binary.LittleEndian.Uint32(c[:])
	age := uint32(now/time.Second) - second
	if age > uint32(CookieLife/time.Second) {
		return false
	}
	return subtle.ConstantTimeCompare(c[4:], k.over(second, from, id)) == 1
}

// about returns a time that is d on average. In a flood cookies so become due at times that nobody knows:
// were they evenly spaced, who knocks every knockEvery, a multiple of that, would come too late each time.
func (k *baker) about(d time.Duration) time.Duration {
	return time.Duration(k.dice.Int64N(int64(2 * d)))
}

// over returns the code over what a cookie is made of, good until the next call.
func (k *baker) over(second uint32, from netip.AddrPort, id ID) []byte {
	binary.LittleEndian.PutUint32(k.in[:], second)
	ip := from.Addr().As16()
	copy(k.in[4:], ip[:])
	binary.LittleEndian.PutUint16(k.in[20:], from.Port())
	binary.LittleEndian.PutUint64(k.in[22:], uint64(id))
	k.mac.Reset()
	k.mac.Write(k.in[:])
	return k.mac.Sum(k.sum[:0])[:cookieSize-4]
}

// usedCookies remembers the cookies that have opened a link, for as long as they are good and there is room. It belongs to the
// loop.
type usedCookies struct {
	halves [2]map[cookie]ID // the second is the older
	turnAt time.Duration
}

func (u *usedCookies) find(now time.Duration, c cookie) (ID, bool) {
	u.turn(now)
	for _, h := range u.halves {
		if id, ok := h[c]; ok {
			return id, true
		}
	}
	return 0, false
}

// add remembers a cookie. Where there is no room the older half is forgotten before its time: a stranger with an address may then
// open two links with one cookie, which it could have done with two. To refuse would let it keep everybody else out.
func (u *usedCookies) add(now time.Duration, c cookie, id ID) {
	u.turn(now)
	if len(u.halves[0]) >= usedLimit {
		u.halves[0], u.halves[1] = nil, u.halves[0]
	}
	if u.halves[0] == nil {
		u.halves[0] = map[cookie]ID{}
	}
	u.halves[0][c] = id
}

// turn forgets what is older than CookieLife. A cookie is good for the second after it ends, too, so a half lasts longer.
func (u *usedCookies) turn(now time.Duration) {
	const half = CookieLife + 2*time.Second
	if now < u.turnAt {
		return
	}
	if now >= u.turnAt+half {
		u.halves[0] = nil
	}
	u.halves[0], u.halves[1] = nil, u.halves[0]
	u.turnAt = now + half
}

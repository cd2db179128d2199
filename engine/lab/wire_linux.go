package lab

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"unsafe"
)

// runWire is a cable between two tap devices, for kernels that have no netem: what `faultlab.sh wire` starts.
func runWire(args []string) int {
	var w weather
	f := flag.NewFlagSet(wireName, flag.ContinueOnError)
	a := f.String("a", "", "first tap device")
	b := f.String("b", "", "second tap device")
	seed := f.Uint64("seed", 1, "of the random choices")
	w.flags(f)
	if f.Parse(args) != nil {
		return 2
	}
	if err := joinTaps(*a, *b, w, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "wire:", err)
		return 1
	}
	return 0
}

func joinTaps(a, b string, w weather, seed uint64) error {
	one, err := openTap(a)
	if err != nil {
		return err
	}
	other, err := openTap(b)
	if err != nil {
		return err
	}
	broken := make(chan error, 2)
	for i, way := range [][2]io.ReadWriter{{one, other}, {other, one}} {
		go func() {
			broken <- newCable(w, rand.New(rand.NewPCG(seed, uint64(i)))).carry(way[0], way[1])
		}()
	}
	fmt.Println("wire: up") // faultlab.sh waits for it
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-broken:
		return err
	case <-stop:
		return nil
	}
}

func openTap(name string) (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	var req struct { // struct ifreq
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:15], name)
	req.flags = syscall.IFF_TAP | syscall.IFF_NO_PI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&req))); errno != 0 {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("tap %s: %w", name, errno)
	}
	return os.NewFile(uintptr(fd), name), nil // non-blocking: the runtime's poller serves it
}

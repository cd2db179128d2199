package natmap

import "os"

// routes are this host's default routes over a gateway, best first.
func routes() ([]route, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return defaultRoutes(f), nil
}

package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// boundPorts lists the TCP ports this process listens on, as the kernel knows them. On
// systems without /proc it is empty: then only declared ports are looked at.
func boundPorts() ([]netip.AddrPort, error) {
	mine, err := ownSockets()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, name := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list open ports: %w", err)
		}
		found, err := parseListening(f, mine)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("list open ports: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func ownSockets() (map[string]bool, error) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("list own sockets: %w", err)
	}
	mine := map[string]bool{}
	for _, n := range names {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", n.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return mine, nil
}

// parseListening reads the kernel's table: proc(5), /proc/net/tcp.
func parseListening(r io.Reader, mine map[string]bool) ([]netip.AddrPort, error) {
	const listening = "0A"
	var all []netip.AddrPort
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != listening || !mine[f[9]] {
			continue
		}
		ap, err := parseKernelAddr(f[1])
		if err != nil {
			return nil, err
		}
		all = append(all, ap)
	}
	return all, lines.Err() //nolint:wrapcheck // wrapped by the caller
}

// parseKernelAddr reads 0100007F:1F90: words of the address in the machine's order.
func parseKernelAddr(s string) (netip.AddrPort, error) {
	addr, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(addr)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not hexadecimal words", s)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q is not an address and a port", s)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// plain is what a port says to somebody who speaks plain HTTP; status 0 when it is no HTTP.
type plain struct {
	status, length int
	location       string
	ssh            bool
}

// redirects reports whether the port only sends people to https.
func (p plain) redirects() bool {
	return p.status == http.StatusPermanentRedirect && p.length == 0 && strings.HasPrefix(p.location, "https://")
}

func plainGet(ctx context.Context, addr, host string) (plain, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", reach(addr))
	if err != nil {
		return plain{}, fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return plain{}, fmt.Errorf("set deadline: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return plain{}, fmt.Errorf("ask: %w", err)
	}
	in := bufio.NewReader(io.LimitReader(conn, 64<<10))
	if start, err := in.Peek(7); err == nil && string(start) == "SSH-2.0" {
		return plain{ssh: true}, nil
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return plain{}, nil //nolint:nilerr // it does not speak HTTP: status 0 says so
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body) // what came before a broken end counts as well
	return plain{status: res.StatusCode, length: len(b), location: res.Header.Get("Location")}, nil
}

//go:build ignore

// Command idle opens connections to a listener, asks each once for a page, and leaves them open.
// For scripts/bench-idle.sh:
//
//	go run scripts/idle.go localhost:PORT 10000 PID
//
// It prints the resident memory of the process before and after, and what one connection takes.
// Connections come from many addresses of this machine's own network, because the server takes
// two hundred from one.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail(err)
	}
	before := resident(os.Args[3])
	var open atomic.Int64
	conns := make([]net.Conn, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range next {
				c, err := connect(os.Args[1], i)
				if err != nil {
					fail(fmt.Errorf("connection %d: %w", i, err))
				}
				conns[i] = c
				open.Add(1)
			}
		})
	}
	began := time.Now()
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	took := time.Since(began)
	time.Sleep(5 * time.Second) // for the collector
	after := resident(os.Args[3])
	alive := 0
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		if e, ok := err.(net.Error); ok && e.Timeout() {
			alive++
		}
	}
	fmt.Printf("%d idle connections, opened in %.0f s, %d still open: %.0f MB resident, %.0f MB before, %.1f KB each\n",
		open.Load(), took.Seconds(), alive, after/1024, before/1024, (after-before)/float64(n))
}

// connect makes one connection and asks for a page.
func connect(to string, i int) (net.Conn, error) {
	host, _, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: 30 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 78, byte(i/100/250), byte(i/100%250+1))}}
	raw, err := d.DialContext(context.Background(), "tcp4", to)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) // the figure is the server's memory, not who it is
	if _, err := fmt.Fprintf(c, "GET /-/livez HTTP/1.1\r\nHost: %s\r\n\r\n", to); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", res.Status)
	}
	return c, nil
}

// resident is the memory of a process in KB.
func resident(pid string) float64 {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		fail(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	fail(fmt.Errorf("no memory is said of process %s", pid))
	return 0
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

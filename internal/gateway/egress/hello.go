package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	mostHello       = 64 << 10 // bytes of a greeting
	recordHandshake = 22       // RFC 8446 section 5.1
)

// unrecognized is the fatal alert unrecognized_name (RFC 6066 section 3) in a record.
var unrecognized = []byte{21, 3, 3, 0, 2, 2, 112}

var (
	errHello = errors.New("egress: the greeting is not TLS")
	errRead  = errors.New("egress: read enough")
)

// serverName reads the name in a TLS greeting, and returns the bytes that were read for it.
func serverName(from io.Reader) (name string, seen []byte, err error) {
	l := &listener{from: io.LimitReader(from, mostHello)}
	err = tls.Server(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name = h.ServerName
		return nil, errRead
	}}).Handshake()
	if errors.Is(err, errRead) {
		return name, l.seen.Bytes(), nil
	}
	return "", nil, fmt.Errorf("%w: %w", errHello, err)
}

// listener is a connection on which TLS only listens.
type listener struct {
	net.Conn
	from io.Reader
	seen bytes.Buffer
}

// Read implements io.Reader.
func (l *listener) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	l.seen.Write(p[:n])
	return n, err //nolint:wrapcheck // crypto/tls looks at it
}

func (l *listener) Write(p []byte) (int, error)      { return len(p), nil } // an alert for nobody
func (l *listener) Close() error                     { return nil }
func (l *listener) SetDeadline(time.Time) error      { return nil }
func (l *listener) SetReadDeadline(time.Time) error  { return nil }
func (l *listener) SetWriteDeadline(time.Time) error { return nil }

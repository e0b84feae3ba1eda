package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/fault"
)

// Files say where a certificate from outside lies.
type Files struct {
	Cert, Key string   // PEM; the chain with the server's own certificate first
	Hosts     []string // every host the certificate must cover
	Log       *slog.Logger
	Now       func() time.Time
}

// fileSource serves a pair of files and takes up their successors.
type fileSource struct {
	f       Files
	cert    atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // when the files were last looked at, Unix nanoseconds

	mu   sync.Mutex // guards seen
	seen [2]stamp
}

type stamp struct {
	mod  time.Time
	size int64
}

const lookEvery = time.Second

// FromFiles serves a certificate from files. It refuses one that is expired, has the
// wrong name or another's key. Changed files are taken up within a second of the next
// handshake; if they are not good, the old certificate stays and the log says why.
func FromFiles(f Files) (Source, error) {
	if f.Cert == "" || f.Key == "" || f.Log == nil || f.Now == nil {
		return nil, errors.New("listen: certificate files need Cert, Key, Log and Now")
	}
	s := &fileSource{f: f}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.checked.Store(f.Now().UnixNano())
	return s, nil
}

// Certificate implements Source.
func (s *fileSource) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := s.Current()
	if err != nil {
		return nil, err
	}
	return covers(c, hello)
}

// Current implements Source.
func (s *fileSource) Current() (*tls.Certificate, error) {
	now, last := s.f.Now().UnixNano(), s.checked.Load()
	if now-last >= int64(lookEvery) && s.checked.CompareAndSwap(last, now) && s.changed() {
		if err := s.load(); err != nil {
			s.f.Log.Error("the new certificate was refused; the old one stays", "file", s.f.Cert, "err", err)
		} else {
			s.f.Log.Info("a new certificate is in use", "file", s.f.Cert, "until", s.cert.Load().Leaf.NotAfter)
		}
	}
	return s.cert.Load(), nil
}

// Roots implements Source: what the machine trusts.
func (s *fileSource) Roots() *x509.CertPool { return nil }

func (s *fileSource) changed() bool {
	now, err := s.stamps()
	if err != nil {
		return false // being replaced this moment
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return now != s.seen
}

func (s *fileSource) stamps() (st [2]stamp, err error) {
	for i, name := range []string{s.f.Cert, s.f.Key} {
		fi, err := os.Stat(name)
		if err != nil {
			return st, fmt.Errorf("look at %s: %w", name, err)
		}
		st[i] = stamp{fi.ModTime(), fi.Size()}
	}
	return st, nil
}

func (s *fileSource) load() error {
	st, err := s.stamps()
	if errors.Is(err, fs.ErrNotExist) {
		return refused("A certificate file is missing: "+err.Error()+".", "Both the certificate and its key.", "Correct tls.cert and tls.key in writ.yaml.")
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.seen = st // also of a bad pair: it is read again when it changes again
	s.mu.Unlock()
	c, err := readPair(s.f.Cert, s.f.Key)
	if fault.KindOf(err) == fault.Invalid {
		return err
	}
	if err != nil {
		return refused("The certificate and its key do not fit or cannot be read: "+err.Error()+".", "A PEM certificate chain and its own unencrypted PEM key.", "Correct the files "+s.f.Cert+" and "+s.f.Key+".")
	}
	if err := Check(c, s.f.Hosts, s.f.Now()); err != nil {
		return err
	}
	s.cert.Store(c)
	return nil
}

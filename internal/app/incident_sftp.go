package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"writ/internal/incident/status"
	"writ/internal/secret"
)

// farTime is how long a far machine may be silent.
const farTime = 20 * time.Second

// far is a folder of another machine, reached by SFTP. One connection is kept from file to file,
// and ends when none follows for a while; the machine's key must be among those that are known.
type far struct {
	at, user, folder string
	config           *ssh.ClientConfig
	dial             func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex // one file at a time
	conn   net.Conn
	client *sftp.Client
}

// sftpPlace opens no connection yet. key is a private key as ssh-keygen writes it, known the name
// of a file of known hosts.
func sftpPlace(u *url.URL, key secret.Text, known string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (status.Put, error) {
	signer, err := ssh.ParsePrivateKey([]byte(key.Reveal()))
	if err != nil {
		return nil, errors.New("the secret is no private key without a passphrase, as ssh-keygen writes it")
	}
	check, err := knownhosts.New(known)
	if err != nil {
		return nil, fmt.Errorf("read the known hosts: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	f := &far{at: net.JoinHostPort(u.Hostname(), port), user: u.User.Username(), folder: strings.TrimSuffix(u.Path, "/"), dial: dial}
	f.config = &ssh.ClientConfig{User: f.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check, HostKeyAlgorithms: knownAlgorithms(check, f.at), ClientVersion: "SSH-2.0-Writ"}
	if len(f.config.HostKeyAlgorithms) == 0 {
		return nil, errors.New("the known hosts do not name " + f.at)
	}
	return f.put, nil
}

// knownAlgorithms are those of the keys that are known of a machine: one that has several shows
// the one that is asked for.
func knownAlgorithms(check ssh.HostKeyCallback, at string) (out []string) {
	var none *knownhosts.KeyError
	if err := check(at, &net.TCPAddr{}, nobodysKey{}); !errors.As(err, &none) {
		return nil
	}
	for _, k := range none.Want {
		if k.Key.Type() == ssh.KeyAlgoRSA { // never signed with SHA-1
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		out = append(out, k.Key.Type())
	}
	return out
}

// nobodysKey is none that a machine has.
type nobodysKey struct{}

func (nobodysKey) Type() string                        { return "none" }
func (nobodysKey) Marshal() []byte                     { return nil }
func (nobodysKey) Verify([]byte, *ssh.Signature) error { return errors.New("nobody's key") }

// put writes a file so that a reader never sees half of one. A connection that was kept may have
// ended meanwhile: then a new one is opened, once.
func (f *far) put(ctx context.Context, name, _ string, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.client != nil
	err := f.write(ctx, name, body)
	if err != nil && kept && ctx.Err() == nil {
		err = f.write(ctx, name, body)
	}
	return err
}

func (f *far) write(ctx context.Context, name string, body []byte) (err error) {
	if f.client == nil {
		if err := f.open(ctx); err != nil {
			return err
		}
	}
	if err := f.conn.SetDeadline(time.Now().Add(farTime)); err != nil { //nolint:forbidigo // of the network
		return errors.Join(err, f.close())
	}
	stop := context.AfterFunc(ctx, func() { _ = f.conn.Close() })
	defer stop()
	if err = f.replace(path.Join(f.folder, name), body); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), f.close())
	}
	return nil
}

func (f *far) replace(name string, body []byte) error {
	if err := f.client.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	tmp := name + ".new"
	file, err := f.client.Create(tmp)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return f.client.PosixRename(tmp, name)
}

// open dials, and knows the machine before it shows anything.
func (f *far) open(ctx context.Context) error {
	raw, err := f.dial(ctx, "tcp", f.at)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := raw.SetDeadline(time.Now().Add(farTime)); err != nil { //nolint:forbidigo // of the network
		return errors.Join(err, raw.Close())
	}
	conn, chans, reqs, err := ssh.NewClientConn(raw, f.at, f.config)
	if err != nil {
		return errors.Join(fmt.Errorf("sign in: %w", err), raw.Close())
	}
	client, err := sftp.NewClient(ssh.NewClient(conn, chans, reqs))
	if err != nil {
		return errors.Join(fmt.Errorf("open files: %w", err), raw.Close())
	}
	f.conn, f.client = raw, client
	return nil
}

func (f *far) close() error {
	_ = f.client.Close() // the connection is closed, whatever it says
	err := f.conn.Close()
	f.client, f.conn = nil, nil
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

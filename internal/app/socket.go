package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/seal"
	"writ/internal/secret"
)

// maxSocketPath is what every system's sockaddr_un holds, with its ending zero.
const maxSocketPath = 104

// socketPath is DIR/writ.sock, or a place in the runtime folder when that is too long
// for a socket.
func socketPath(dir string) (string, error) {
	abs, err := filepath.Abs(filepath.Join(dir, "writ.sock"))
	if err != nil {
		return "", err
	}
	if len(abs) < maxSocketPath {
		return abs, nil
	}
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		run = os.TempDir()
	}
	sum := secret.NewText(abs).Sum()
	p := filepath.Join(run, fmt.Sprintf("writ-%x.sock", sum[:8]))
	if len(p) >= maxSocketPath {
		return "", fault.Newf(fault.Invalid, "socket_path", "The folder %s is too deep for a socket, and so is %s.", dir, run)
	}
	return p, nil
}

// listenSocket opens the socket for this user alone and notes where it lies.
func listenSocket(dir string, boot *seal.File) (net.Listener, error) {
	p, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) { // the folder's lock is ours, so nobody listens on it
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	l, err := net.Listen("unix", p)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	if err := os.Chmod(p, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := boot.Change(func(b *seal.Boot) error { b.Socket = p; return nil }); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// socketDoor takes who acts from the kernel: the uid at the other end.
type socketDoor struct{ uids []int }

type peerKey struct{}

// newSocketDoor admits the server's own uid, root, and the operators of writ.yaml.
func newSocketDoor(operators []string) (socketDoor, error) {
	d := socketDoor{uids: []int{os.Getuid(), 0}}
	for _, o := range operators {
		n, err := strconv.Atoi(o)
		if err != nil {
			u, err := user.Lookup(o)
			if err != nil {
				return d, fault.New(fault.Invalid, "operators", fault.Public{
					Problem: fmt.Sprintf("writ.yaml: operators names %q, and this machine knows no such user.", o), Next: "Mend the list or add the user."})
			}
			if n, err = strconv.Atoi(u.Uid); err != nil {
				return d, fmt.Errorf("uid of %s: %w", o, err)
			}
		}
		d.uids = append(d.uids, n)
	}
	return d, nil
}

// connContext notes the peer's uid beside the connection. -1 stands for unknown.
func (socketDoor) connContext(ctx context.Context, c net.Conn) context.Context {
	uid := -1
	if u, ok := c.(*net.UnixConn); ok {
		if n, err := peerUID(u); err == nil {
			uid = n
		}
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// Identify implements web.Door.
func (d socketDoor) Identify(r *http.Request) (actor.Actor, error) {
	uid, ok := r.Context().Value(peerKey{}).(int)
	if !ok || uid < 0 || !slices.Contains(d.uids, uid) {
		return actor.Actor{}, fault.New(fault.Denied, "not_operator", fault.Public{
			Problem: fmt.Sprintf("The user with uid %d may not operate this server.", uid),
			Next:    "Add the user to operators in writ.yaml, or use --url and sign in."})
	}
	return actor.Actor{Kind: actor.Operator, ID: "uid-" + strconv.Itoa(uid), Via: "socket"}, nil
}

// serveSocket answers on the socket until ctx ends.
func serveSocket(ctx context.Context, l net.Listener, d socketDoor, h http.Handler) error {
	s := &http.Server{Handler: h, ConnContext: d.connContext, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if s.Shutdown(end) != nil {
			_ = s.Close() // Serve says how it ended
		}
	})
	defer stopped()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}

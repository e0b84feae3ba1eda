package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"writ/internal/secret"
)

const (
	apiRoot   = "/-/api/v1/"
	maxAnswer = 64 << 20
	// patience bounds one call. The server bounds its own work more tightly, except
	// live checks and exports.
	patience = 15 * time.Minute
)

// client speaks to one server.
type client struct {
	http  *http.Client
	base  string // scheme and host
	where string // for people: the folder or the address
	hint  string // what to do when nobody answers
	end   func(context.Context) error

	token secret.Text // sent with each request; empty over the socket and with a session
}

// open connects at first use: over the socket, or with a session of --as.
func (a *app) open(ctx context.Context) (*client, error) {
	if a.conn != nil {
		return a.conn, nil
	}
	if a.url != "" && a.as == "" && !a.hasToken() { // commands that may work offline get as far as here
		return nil, &usageError{errNeedsAs}
	}
	var c *client
	var err error
	switch {
	case a.as != "":
		c, err = a.signIn(ctx)
	case a.hasToken():
		c, err = a.withToken()
	default:
		c, err = a.overSocket()
	}
	if err != nil {
		return nil, err
	}
	a.conn = c
	return c, nil
}

// close ends a session that open began.
func (a *app) close() error {
	if a.conn == nil || a.conn.end == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the run's own context may have ended
	defer cancel()
	if err := a.conn.end(ctx); err != nil {
		return &exit{exitUnreachable, fmt.Errorf("the session of %s could not be ended: %w", a.as, err)}
	}
	return nil
}

// overSocket is a client of the folder's server.
func (a *app) overSocket() (*client, error) {
	path, err := socketOf(a.dir)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	shown := a.dir
	if abs, err := filepath.Abs(a.dir); err == nil {
		shown = abs
	}
	return &client{http: newHTTP(t), base: "http://writ", where: shown, hint: "Start it with: writ serve --dir " + a.dir}, nil
}

func newHTTP(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// socketOf is where the folder's server listens: DIR/writ.sock, or what boot.json says.
func socketOf(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "writ.sock"))
	if err != nil {
		return "", fmt.Errorf("find socket: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "boot.json"))
	if err != nil {
		return path, nil // dialling will say that nobody is there
	}
	var boot struct {
		Socket string `json:"socket"`
	}
	if err := json.Unmarshal(b, &boot); err == nil && boot.Socket != "" {
		path = boot.Socket
	}
	return path, nil
}

// get reads the answer to a question.
func (c *client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// post tells something and reads the answer; out may be nil.
func (c *client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, in, out)
}

// call makes one request under /-/api/v1/.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	b, err := c.bytes(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = b
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return c.notWrit(fmt.Errorf("read the answer to %s: %w", path, err))
	}
	return nil
}

// bytes is the body of a good answer.
func (c *client) bytes(ctx context.Context, method, path string, in any) ([]byte, error) {
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.away(err)
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	case len(b) > 0 && !isJSON(resp.Header.Get("Content-Type")):
		return nil, c.notWrit(fmt.Errorf("it answers %s with %s", path, resp.Header.Get("Content-Type")))
	}
	return b, nil
}

// do sends a request; an answer that is no success comes back as its problem. The
// caller closes the body.
func (c *client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+apiRoot+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if in != nil || method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "writ")
	if !c.token.IsZero() {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.away(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refused(resp)
}

// refused reads a problem document.
func (c *client) refused(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return c.away(err)
	}
	p := &problem{}
	if !isJSON(resp.Header.Get("Content-Type")) || json.Unmarshal(b, p) != nil || p.Code == "" {
		return c.notWrit(fmt.Errorf("it answers %s", resp.Status))
	}
	p.Status = resp.StatusCode
	return p
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || kind == "application/problem+json")
}

// notWrit is an answer that no server of this kind gives.
func (c *client) notWrit(err error) error {
	return &unreachable{"What answers at " + c.where + " is not a Writ server of this version: " + err.Error(),
		"Look at the address, and compare with: writ version", err}
}

// away says why no answer came.
func (c *client) away(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case c.base == "http://writ" && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)):
		return &unreachable{"No server runs on the folder " + c.where, c.hint, err}
	case errors.Is(err, syscall.EACCES):
		return &unreachable{"The socket in " + c.where + " is not open to you", "Use the account that runs the server, or --as EMAIL.", err}
	}
	return &unreachable{"The server at " + c.where + " did not answer: " + strings.TrimSpace(err.Error()), c.hint, err}
}

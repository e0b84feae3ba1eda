package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"writ/internal/secret"
)

// place is a server's public listener.
type place struct {
	origin string // https://app.example.com
	dial   string // address to connect to instead of the origin's host; empty for the host
	ca     string // file of the authority; empty for the system's
}

// publicPlace is where --as signs in: --url, or the listener of the folder's server.
func (a *app) publicPlace() (place, error) {
	p := place{origin: strings.TrimRight(a.url, "/"), ca: a.ca}
	if p.origin != "" {
		return p, nil
	}
	name := filepath.Join(a.dir, "writ.yaml")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, &usageError{fmt.Errorf("there is no %s: give --url, or the server's folder with --dir", name)}
	}
	if err != nil {
		return p, unreadable(name, err)
	}
	var c struct { // of the machine settings, what a client needs
		App   string `yaml:"app"`
		HTTPS string `yaml:"https"`
		TLS   struct {
			Cert string `yaml:"cert"`
		} `yaml:"tls"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return p, &exit{exitUsage, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))}
	}
	p.origin = strings.TrimRight(c.App, "/")
	host, port, err := net.SplitHostPort(c.HTTPS)
	if err != nil {
		return p, &exit{exitUsage, fmt.Errorf("%s: https is %q, expected an address such as :443", name, c.HTTPS)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	p.dial = net.JoinHostPort(host, port)
	if p.ca == "" && c.TLS.Cert == "" {
		p.ca = filepath.Join(a.dir, "ca", "ca.pem")
	}
	return p, nil
}

// overHTTPS is a client of the public listener, as yet nobody.
func (a *app) overHTTPS() (*client, error) {
	p, err := a.publicPlace()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(p.origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		return nil, &usageError{fmt.Errorf("%q is no address such as https://app.example.com", p.origin)}
	}
	t, err := transport(p)
	if err != nil {
		return nil, err
	}
	return &client{http: newHTTP(t), base: "https://" + u.Host, where: p.origin, hint: "Look at the address and at the server."}, nil
}

// signIn makes a client with a session of --as. The session ends with the command.
func (a *app) signIn(ctx context.Context) (*client, error) {
	c, err := a.overHTTPS()
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make cookie jar: %w", err)
	}
	c.http.Jar = jar
	password, err := a.password()
	if err != nil {
		return nil, err
	}
	var answer struct {
		Next    string   `json:"next"`
		Flow    string   `json:"flow"`
		Factors []string `json:"factors"`
	}
	if err := c.post(ctx, "sign-in", map[string]string{"email": a.as, "password": password.Reveal()}, &answer); err != nil {
		return nil, err
	}
	c.end = func(ctx context.Context) error { return c.post(ctx, "sign-out", nil, nil) }
	switch answer.Next {
	case "", "done":
		return c, nil
	case "factor":
		return c, a.secondStep(ctx, c, answer.Flow, answer.Factors)
	case "enrol":
		return nil, fmt.Errorf("%s needs a second factor first. Set one up in a browser: %s/-/account/factors", a.as, c.where)
	}
	return nil, fmt.Errorf("%s signs in with a second step (%s) that a terminal cannot do. Use the console: %s/-/console", a.as, answer.Next, c.where)
}

// secondStep shows a code: of the app, which has six digits, or a recovery code. It comes
// from $WRIT_CODE, else the terminal.
func (a *app) secondStep(ctx context.Context, c *client, flow string, kinds []string) error {
	if !slices.Contains(kinds, "totp") && !slices.Contains(kinds, "recovery") {
		return fmt.Errorf("%s signs in with a factor (%s) that a terminal cannot show. Use the console: %s/-/console", a.as, strings.Join(kinds, ", "), c.where)
	}
	code := secret.NewText(a.env("WRIT_CODE"))
	if code.IsZero() {
		var err error
		if code, err = a.ask("Code of "+a.as+" (of the app, or a recovery code): ", "Set WRIT_CODE."); err != nil {
			return err
		}
	}
	kind := "recovery"
	if text := strings.ReplaceAll(code.Reveal(), " ", ""); len(text) == 6 && strings.Trim(text, "0123456789") == "" {
		kind = "totp"
	}
	return c.post(ctx, "sign-in/factor", map[string]string{"flow": flow, "kind": kind, "code": code.Reveal()}, nil)
}

// transport trusts the given authority alone, or the system's.
func transport(p place) (*http.Transport, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	if p.dial != "" {
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, p.dial)
		}
	} else {
		t.Proxy = http.ProxyFromEnvironment
	}
	if p.ca == "" {
		return t, nil
	}
	b, err := os.ReadFile(p.ca)
	if err != nil {
		return nil, unreadable(p.ca, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, &exit{exitUsage, fmt.Errorf("%s holds no certificate in PEM form", p.ca)}
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// password comes from --password-file, else $WRIT_PASSWORD, else the terminal. It is
// never an argument, which other users of the machine can read.
func (a *app) password() (secret.Text, error) {
	if a.passwordFile != "" {
		b, err := os.ReadFile(a.passwordFile)
		if err != nil {
			return secret.Text{}, unreadable(a.passwordFile, err)
		}
		return secret.NewText(strings.TrimRight(string(b), "\r\n")), nil
	}
	if p := a.env("WRIT_PASSWORD"); p != "" {
		return secret.NewText(p), nil
	}
	return a.ask("Password of "+a.as+": ", "Give --password-file FILE or set WRIT_PASSWORD.")
}

// ask reads a secret from the terminal without showing it.
func (a *app) ask(prompt, otherwise string) (secret.Text, error) {
	f, ok := a.in.(*os.File)
	if !ok || !isTerminal(f) {
		return secret.Text{}, &exit{exitUsage, errors.New(strings.TrimRight(strings.TrimSuffix(prompt, ": "), ".") + " cannot be asked: this is no terminal. " + otherwise)}
	}
	fmt.Fprint(a.err, visible(prompt))
	defer fmt.Fprintln(a.err)
	var line string
	err := withoutEcho(f, func() (err error) {
		line, err = readLine(f)
		return err
	})
	return secret.NewText(line), err
}

// readLine reads one line of a terminal, without its end.
func readLine(f *os.File) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(f, 4<<10)).ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// askLine asks for something that may be shown.
func (a *app) askLine(prompt, otherwise string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !isTerminal(f) {
		return "", &exit{exitUsage, errors.New("this must be confirmed, and there is no terminal. " + otherwise)}
	}
	fmt.Fprint(a.err, visible(prompt))
	var line string
	err := interruptible(func() (err error) {
		line, err = readLine(f)
		return err
	}, func() {})
	return strings.TrimSpace(line), err
}

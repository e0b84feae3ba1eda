package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

// PlaceConf is an object store (S3), or a folder of another machine (SFTP), that the status page is
// published to.
type PlaceConf struct {
	Name   string `yaml:"name"`                  // of your own
	URL    string `yaml:"url"`                   // https://s3.eu-central-1.amazonaws.com/BUCKET or …/BUCKET/FOLDER, or sftp://USER@HOST/FOLDER
	Region string `yaml:"region,omitempty"`      // of an object store, such as eu-central-1
	Key    string `yaml:"key,omitempty"`         // id of the access key there
	Secret string `yaml:"secret"`                // file with its secret; with the private key of USER
	Known  string `yaml:"known_hosts,omitempty"` // file with the keys of HOST, as ssh-keyscan writes them
}

// far reads the address of another machine; nil = it is none, or not good.
func (p PlaceConf) far() *url.URL {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "sftp" {
		return nil
	}
	if _, password := u.User.Password(); password || u.User.Username() == "" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || !plainPath.MatchString(strings.TrimSuffix(u.Path, "/")) {
		return nil
	}
	return u
}

// plainPath has no character that a signature of S3 would spell otherwise.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

func (c StatusConf) checkPlaces(bad func(key, got, want string) error) error {
	var names []string
	for _, p := range c.Places {
		if p.Name == "" || p.Name == "folder" || slices.Contains(names, p.Name) {
			return bad("status.places.name", p.Name, "a name of its own")
		}
		if strings.HasPrefix(p.URL, "sftp:") {
			if err := p.checkFar(bad); err != nil {
				return err
			}
			names = append(names, p.Name)
			continue
		}
		u, err := url.Parse(p.URL)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || !plainPath.MatchString(u.Path) || u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())):
			return bad("status.places.url", p.URL, "https://HOST/BUCKET, or a folder in it, of letters, digits and ._-")
		case p.Region == "" || strings.ContainsAny(p.Region, "/, "):
			return bad("status.places.region", p.Region, "a region such as eu-central-1")
		case p.Key == "" || strings.ContainsAny(p.Key, "/, "):
			return bad("status.places.key", p.Key, "the id of an access key")
		case p.Secret == "":
			return bad("status.places.secret", p.Secret, "a file that holds it")
		}
		names = append(names, p.Name)
	}
	return nil
}

func (p PlaceConf) checkFar(bad func(key, got, want string) error) error {
	switch {
	case p.far() == nil:
		return bad("status.places.url", p.URL, "sftp://USER@HOST/FOLDER, of letters, digits and ._-, without a password")
	case p.Secret == "" || p.Known == "":
		return bad("status.places", p.Name, "secret, a file with the private key of the user, and known_hosts, a file with the keys of the machine")
	case p.Region+p.Key != "":
		return bad("status.places.key", p.Region+p.Key, "no region and no key: those are of object stores")
	}
	return nil
}

// places opens the object stores, behind the guard of webhooks.
func (a *App) places() (map[string]status.Put, error) {
	out := map[string]status.Put{}
	for _, p := range a.config.Status.Places {
		b, err := a.readSecret(p.Secret)
		if err != nil {
			return nil, fault.New(fault.Invalid, "config", fault.Public{Problem: "status.places." + p.Name + ": " + err.Error() + ".", Expected: "A file that this server can read.", Next: "Mend the file and start again."})
		}
		if u := p.far(); u != nil {
			known := p.Known
			if !filepath.IsAbs(known) {
				known = a.path(known)
			}
			if out[p.Name], err = sftpPlace(u, secret.NewText(string(b)), known, a.notify.Dial); err != nil {
				return nil, fault.New(fault.Invalid, "config", fault.Public{Problem: "status.places." + p.Name + ": " + err.Error() + ".", Next: "Mend it and start again."})
			}
			continue
		}
		out[p.Name] = p.put(a.guarded(), secret.NewText(strings.TrimSpace(string(b))), a.now)
	}
	return out, nil
}

// put writes one object by a signed request.
func (p PlaceConf) put(client *http.Client, key secret.Text, now func() time.Time) status.Put {
	return func(ctx context.Context, name, kind string, body []byte) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, strings.TrimSuffix(p.URL, "/")+"/"+name, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("address of an object: %w", err)
		}
		sum, at := sha256.Sum256(body), now().UTC()
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Cache-Control", "public, max-age=5")
		r.Header.Set("X-Amz-Date", at.Format("20060102T150405Z"))
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		if err := sigv4.Sign(r, []string{"cache-control", "content-type", "host", "x-amz-content-sha256", "x-amz-date"}, sum, sigv4.Credential{KeyID: p.Key, Day: at.Format("20060102"), Region: p.Region, Service: "s3"}, key); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		a, err := client.Do(r)
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		defer a.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 64<<10)) // so that the connection serves again
		if a.StatusCode/100 != 2 {
			return fault.Newf(fault.Unavailable, "place_refused", "It answered %d.", a.StatusCode)
		}
		return nil
	}
}

package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/post"
	"writ/internal/secret"
)

// PostConf is an account on another network that is told what the status page says.
type PostConf struct {
	Name    string `yaml:"name"`           // of your own
	Channel string `yaml:"channel"`        // of inc.public-notice/channel, such as social
	Network string `yaml:"network"`        // mastodon, bluesky or x
	URL     string `yaml:"url"`            // https://mastodon.example, https://bsky.social, https://api.x.com
	User    string `yaml:"user,omitempty"` // Bluesky: handle
	Secret  string `yaml:"secret"`         // file with the access token; Bluesky: app password
}

func (c StatusConf) check(bad func(key, got, want string) error) error {
	var names []string
	for _, p := range c.Posts {
		u, err := url.Parse(p.URL)
		switch {
		case p.Name == "" || slices.Contains(names, p.Name):
			return bad("status.posts.name", p.Name, "a name of its own")
		case p.Channel == "" || p.Channel == "status-page":
			return bad("status.posts.channel", p.Channel, "a channel of inc.public-notice beside the status page")
		case !slices.Contains([]string{post.Mastodon, post.Bluesky, post.X}, p.Network):
			return bad("status.posts.network", p.Network, "mastodon, bluesky or x")
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())):
			return bad("status.posts.url", p.URL, "https://…")
		case p.Network == post.Bluesky && p.User == "":
			return bad("status.posts.user", p.User, "the handle of the account")
		case p.Secret == "":
			return bad("status.posts.secret", p.Secret, "a file that holds it")
		}
		names = append(names, p.Name)
	}
	return c.checkPlaces(bad)
}

// guarded is a client that goes where webhooks may go, and follows nobody.
func (a *App) guarded() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: nil, DialContext: a.notify.Dial, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}}
}

// outlets opens the accounts on other networks, behind the guard of webhooks.
func (a *App) outlets() ([]incident.Outlet, error) {
	client := a.guarded()
	var out []incident.Outlet
	for _, p := range a.config.Status.Posts {
		b, err := a.readSecret(p.Secret)
		if err != nil {
			return nil, fault.New(fault.Invalid, "config", fault.Public{Problem: "status.posts." + p.Name + ": " + err.Error() + ".", Expected: "A file that this server can read.", Next: "Mend the file and start again."})
		}
		s, err := post.New(post.Account{Network: p.Network, URL: p.URL, User: p.User, Secret: secret.NewText(strings.TrimSpace(string(b)))}, client, a.now)
		if err != nil {
			return nil, err
		}
		out = append(out, incident.Outlet{Name: p.Name, Channel: p.Channel, Network: p.Network, Sender: s})
	}
	return out, nil
}

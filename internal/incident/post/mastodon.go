package post

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// mastodon posts by POST /api/v1/statuses. The server knows the key of a post for about an hour;
// before a later try one's own posts are looked through.
type mastodon struct{ caller }

type toot struct {
	ID      string `json:"id"`
	URL     string `json:"url"`
	Content string `json:"content"` // HTML
}

func (m *mastodon) token() string { return m.account.Secret.Reveal() }

// limits are how a post is counted there.
func (m *mastodon) limits(ctx context.Context, url string) measure {
	count, _ := measureOf(Mastodon, url)
	var x struct {
		Configuration struct {
			Statuses struct {
				Most int `json:"max_characters"`
				Link int `json:"characters_reserved_per_url"`
			} `json:"statuses"`
		} `json:"configuration"`
	}
	if err := m.call(ctx, http.MethodGet, "/api/v2/instance", "", nil, nil).read(&x); err != nil || x.Configuration.Statuses.Most < 100 {
		return count
	}
	count.most, count.link = min(x.Configuration.Statuses.Most, 5000), max(x.Configuration.Statuses.Link, 1)
	return count
}

// Send implements Sender.
func (m *mastodon) Send(ctx context.Context, msg Message) Outcome {
	in := struct {
		Status string `json:"status"`
		Reply  string `json:"in_reply_to_id,omitempty"`
		Public string `json:"visibility"`
	}{Status: m.limits(ctx, msg.Link).cut(msg.Text, msg.Link), Public: "public"}
	if msg.Replies != nil {
		in.Reply = msg.Replies.ID
	}
	a := m.call(ctx, http.MethodPost, "/api/v1/statuses", m.token(), in, map[string]string{"Idempotency-Key": msg.Key})
	out := a.outcome(m.now())
	var t toot
	if a.read(&t) == nil && t.ID != "" {
		out.State, out.Receipt = Posted, Receipt{ID: t.ID, URL: safe(t.URL)}
	}
	return out
}

// Find implements Sender.
func (m *mastodon) Find(ctx context.Context, msg Message) (Receipt, bool, error) {
	var me struct {
		ID string `json:"id"`
	}
	if err := m.call(ctx, http.MethodGet, "/api/v1/accounts/verify_credentials", m.token(), nil, nil).read(&me); err != nil {
		return Receipt{}, false, err
	}
	var own []toot
	if err := m.call(ctx, http.MethodGet, "/api/v1/accounts/"+url.PathEscape(me.ID)+"/statuses?limit=40&exclude_reblogs=true", m.token(), nil, nil).read(&own); err != nil {
		return Receipt{}, false, err
	}
	for _, t := range own {
		if strings.Contains(html.UnescapeString(t.Content), msg.Link) {
			return Receipt{ID: t.ID, URL: safe(t.URL)}, true, nil
		}
	}
	return Receipt{}, false, nil
}

// safe is an address that a network gave, if it is one that may be shown.
func safe(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(address) > 500 {
		return ""
	}
	return u.String()
}

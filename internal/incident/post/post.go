package post

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/secret"
)

// The networks.
const (
	Mastodon = "mastodon"
	Bluesky  = "bluesky"
	X        = "x"
)

// Account is where to post, and as whom.
type Account struct {
	Network string
	URL     string      // https://mastodon.example, https://bsky.social, https://api.x.com
	User    string      // Bluesky: handle or DID
	Secret  secret.Text // access token; Bluesky: app password
}

// Message is what is posted. Key is its own for ever, and in the order of time; Link is its own too.
type Message struct {
	Key     string
	Text    string
	Link    string
	At      time.Time
	Replies *Receipt // the first post of the same incident
}

// Receipt is a post that stands.
type Receipt struct {
	ID  string // of the network
	CID string // Bluesky: hash of the record
	URL string
}

// State is what is known of a post.
type State string

// What came of it.
const (
	Posted   State = "posted"
	Rejected State = "rejected" // it is not there, and would not be taken
	Deferred State = "deferred" // it is not there; try again
	Unsure   State = "unsure"   // it may be there: look before the next try
	Unknown  State = "unknown"  // it may be there, and nobody but a person can look
)

// Outcome is that of one try.
type Outcome struct {
	State   State
	Receipt Receipt
	Code    string        // HTTP status, or why there was none
	Wait    time.Duration // at least so long before the next try
}

// ErrBlind is a network whose own posts cannot be looked through.
var ErrBlind = errors.New("post: own posts cannot be looked through")

// Sender posts to one account.
type Sender interface {
	Send(ctx context.Context, m Message) Outcome
	// Find is the post of a message, if it is there. Errors: ErrBlind.
	Find(ctx context.Context, m Message) (Receipt, bool, error)
}

// New makes a Sender; client dials where it may.
func New(a Account, client *http.Client, now func() time.Time) (Sender, error) {
	c := caller{account: a, client: client, now: now}
	switch a.Network {
	case Mastodon:
		return &mastodon{caller: c}, nil
	case Bluesky:
		return &bluesky{caller: c}, nil
	case X:
		return &tweets{caller: c}, nil
	}
	return nil, fmt.Errorf("there is no network %q", a.Network)
}

// Publish posts a message that stands nowhere yet. before says that a former try may have
// arrived: then its post is looked for first.
func Publish(ctx context.Context, s Sender, m Message, before bool) Outcome { // clause: inc.public-notice
	if before {
		r, ok, err := s.Find(ctx, m)
		switch {
		case errors.Is(err, ErrBlind):
			return Outcome{State: Unknown, Code: "not_heard"}
		case err != nil:
			return Outcome{State: Unsure, Code: "not_seen"}
		case ok:
			return Outcome{State: Posted, Receipt: r, Code: "found"}
		}
	}
	out := s.Send(ctx, m)
	if out.State == Unsure {
		if _, _, err := s.Find(ctx, m); errors.Is(err, ErrBlind) {
			out.State = Unknown
		}
	}
	return out
}

const (
	mostTime   = 10 * time.Second
	mostAnswer = 64 << 10
)

// caller calls an API.
type caller struct {
	account Account
	client  *http.Client
	now     func() time.Time
}

// answer is one of an API.
type answer struct {
	status int
	body   []byte
	head   http.Header
	sent   bool // the request left, whatever came back
	err    error
}

// call asks an API; in, where it is not nil, is sent as JSON.
func (c *caller) call(ctx context.Context, method, path, token string, in any, head map[string]string) answer {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return answer{err: err}
		}
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) { sent.Store(i.Err == nil) }})
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.account.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("User-Agent", "Writ")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range head {
		r.Header.Set(k, v)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return answer{sent: sent.Load(), err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	return answer{status: resp.StatusCode, body: text, head: resp.Header, sent: true, err: err}
}

// read decodes an answer that is a success.
func (a answer) read(into any) error {
	if a.err != nil {
		return a.err
	}
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("answer %d", a.status)
	}
	return json.Unmarshal(a.body, into)
}

// outcome is what an answer to a post means, but for a success, which is Unsure until it was read.
func (a answer) outcome(now time.Time) Outcome {
	out := Outcome{Code: strconv.Itoa(a.status)}
	switch {
	case a.status == 0 && !a.sent:
		out.State, out.Code = Deferred, "no_connection"
	case a.status == 0:
		out.State, out.Code = Unsure, "no_answer"
	case a.status == http.StatusTooManyRequests:
		out.State, out.Wait = Deferred, a.wait(now)
	case a.status >= 500, a.status >= 200 && a.status < 300:
		out.State = Unsure
	default:
		out.State = Rejected
	}
	return out
}

// wait is how long a network asks to be left alone: at most an hour.
func (a answer) wait(now time.Time) time.Duration {
	d := time.Minute
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset", "RateLimit-Reset", "X-Rate-Limit-Reset"} {
		v := a.head.Get(name)
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			d = t.Sub(now)
		} else if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 1_000_000_000 && n < 10_000_000_000 {
			d = time.Unix(n, 0).Sub(now)
		} else if err == nil && n >= 0 {
			d = time.Duration(min(n, 3600)) * time.Second
		}
	}
	return min(max(d, time.Second), time.Hour)
}

// measure is how a network counts: at most so much, a link as so much whatever its length, and what a
// character weighs.
type measure struct {
	most, link int
	weigh      func(rune) int
}

// measureOf is that of a network, by its documents. A server of Mastodon may say otherwise of itself.
// Bluesky counts graphemes, of which a text never has more than characters.
func measureOf(network, link string) (measure, error) {
	switch network {
	case Mastodon:
		return measure{500, 23, one}, nil
	case Bluesky:
		return measure{300, utf8.RuneCountInString(link), one}, nil
	case X:
		return measure{280, 23, weight}, nil
	}
	return measure{}, fmt.Errorf("there is no network %q", network)
}

func (m measure) cut(text, link string) string { return Cut(text, link, m.most, m.link, m.weigh) }

// Fit is how a message stands on a network.
type Fit struct {
	Text   string
	Counts int // as the network counts, of Most
	Most   int
	Cut    bool
}

// Preview is how a text with its link would stand on a network.
func Preview(network, text, link string) (Fit, error) {
	m, err := measureOf(network, link)
	if err != nil {
		return Fit{}, err
	}
	f := Fit{Text: m.cut(text, link), Counts: m.link, Most: m.most}
	words := strings.TrimSuffix(f.Text, link)
	for _, r := range words {
		f.Counts += m.weigh(r)
	}
	f.Cut = strings.TrimSpace(words) != strings.TrimSpace(text)
	return f, nil
}

// Cut makes a text of at most limit with its link at the end. It ends at a word; weigh is what a
// character counts, and link what the link does.
func Cut(text, url string, limit, link int, weigh func(rune) int) string {
	text = strings.TrimSpace(text)
	room := limit - link - 2*weigh('\n')
	n, end, full := 0, 0, true
	last := 0 // end of the last word that has room beside the mark that something is missing
	space := true
	for i, r := range text {
		if unicode.IsSpace(r) && !space && n+weigh('…') <= room {
			last = i
		}
		space = unicode.IsSpace(r)
		if n += weigh(r); n > room {
			full = false
			break
		}
		if n+weigh('…') <= room {
			end = i + len(string(r))
		}
	}
	if !full {
		if last == 0 { // one word that is too long
			last = end
		}
		text = strings.TrimRightFunc(text[:last], unicode.IsSpace) + "…"
	}
	return text + "\n\n" + url
}

func one(rune) int { return 1 }

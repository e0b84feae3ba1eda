package post

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// bluesky posts by putRecord under a name of our own: to put it twice is to put it once.
type bluesky struct {
	caller
	mu      sync.Mutex
	session session
}

type session struct {
	Token string `json:"accessJwt"`
	DID   string `json:"did"`
}

const postType = "app.bsky.feed.post"

// enter begins a session, or goes on with the one there is.
func (b *bluesky) enter(ctx context.Context, anew bool) (session, answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session.DID != "" && !anew {
		return b.session, answer{}
	}
	a := b.call(ctx, http.MethodPost, "/xrpc/com.atproto.server.createSession", "", map[string]string{"identifier": b.account.User, "password": b.account.Secret.Reveal()}, nil)
	var s session
	if a.read(&s) == nil && s.DID != "" {
		b.session = s
	}
	return s, a
}

type (
	ref struct {
		URI string `json:"uri"`
		CID string `json:"cid"`
	}
	feature struct {
		Type string `json:"$type"`
		URI  string `json:"uri"`
	}
	facet struct {
		Index struct {
			Start int `json:"byteStart"`
			End   int `json:"byteEnd"`
		} `json:"index"`
		Features []feature `json:"features"`
	}
	record struct {
		Type   string         `json:"$type"`
		Text   string         `json:"text"`
		At     string         `json:"createdAt"`
		Facets []facet        `json:"facets"`
		Reply  map[string]ref `json:"reply,omitempty"`
	}
)

// recordOf is the record of a message. Where the link stands is counted in bytes of UTF-8.
func recordOf(m Message) record {
	count, _ := measureOf(Bluesky, m.Link)
	text := count.cut(m.Text, m.Link)
	f := facet{Features: []feature{{"app.bsky.richtext.facet#link", m.Link}}}
	f.Index.Start, f.Index.End = len(text)-len(m.Link), len(text)
	r := record{Type: postType, Text: text, At: m.At.UTC().Format("2006-01-02T15:04:05.000Z"), Facets: []facet{f}}
	if m.Replies != nil {
		first := ref{m.Replies.ID, m.Replies.CID}
		r.Reply = map[string]ref{"root": first, "parent": first}
	}
	return r
}

// Send implements Sender.
func (b *bluesky) Send(ctx context.Context, m Message) Outcome {
	for _, anew := range []bool{false, true} {
		s, entered := b.enter(ctx, anew)
		if s.DID == "" {
			out := entered.outcome(b.now())
			if out.State == Unsure { // nothing was posted by entering
				out.State = Deferred
			}
			return out
		}
		a := b.call(ctx, http.MethodPost, "/xrpc/com.atproto.repo.putRecord", s.Token, map[string]any{"repo": s.DID, "collection": postType, "rkey": name(m), "record": recordOf(m)}, nil)
		if (a.status == http.StatusUnauthorized || a.status == http.StatusBadRequest && strings.Contains(string(a.body), "ExpiredToken")) && !anew {
			continue
		}
		out := a.outcome(b.now())
		var x ref
		if a.read(&x) == nil && x.URI != "" {
			out.State, out.Receipt = Posted, receiptOf(x)
		}
		return out
	}
	return Outcome{State: Rejected, Code: "401"}
}

// Find implements Sender.
func (b *bluesky) Find(ctx context.Context, m Message) (Receipt, bool, error) {
	s, a := b.enter(ctx, false)
	if s.DID == "" {
		return Receipt{}, false, a.read(&s)
	}
	q := url.Values{"repo": {s.DID}, "collection": {postType}, "rkey": {name(m)}}
	a = b.call(ctx, http.MethodGet, "/xrpc/com.atproto.repo.getRecord?"+q.Encode(), "", nil, nil)
	if a.status == http.StatusBadRequest || a.status == http.StatusNotFound { // RecordNotFound
		return Receipt{}, false, nil
	}
	var x ref
	if err := a.read(&x); err != nil {
		return Receipt{}, false, err
	}
	return receiptOf(x), x.URI != "", nil
}

// receiptOf shows a record where people read it.
func receiptOf(x ref) Receipt {
	r := Receipt{ID: x.URI, CID: x.CID}
	if parts := strings.Split(strings.TrimPrefix(x.URI, "at://"), "/"); len(parts) == 3 {
		r.URL = "https://bsky.app/profile/" + parts[0] + "/post/" + parts[2]
	}
	return r
}

// name is the record's own: a TID (thirteen characters, the order of time) of the message's time
// and key, so that it is the same at each try.
func name(m Message) string {
	const alphabet = "234567abcdefghijklmnopqrstuvwxyz"
	h := sha256.Sum256([]byte(m.Key))
	n := uint64(m.At.UnixMicro())<<10 | uint64(binary.BigEndian.Uint16(h[:])&0x3ff) //nolint:gosec // times to come
	var out [13]byte
	for i := range out {
		out[12-i] = alphabet[n&31]
		n >>= 5
	}
	return string(out[:])
}

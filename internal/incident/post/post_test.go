package post_test

import (
	"cmp"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"writ/internal/incident/post"
	"writ/internal/secret"
)

var at = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

func message(text string) post.Message {
	return post.Message{Key: "k1", Text: text, Link: "https://app.example.test/-/status/incidents/agmknp82sqk4#u-06gpncsl0001suc7mbqrpjnnbk", At: at}
}

// network answers as the three do by their documentation, and keeps what was posted.
type network struct {
	t       *testing.T
	mu      sync.Mutex
	posts   map[string]string // by id or record: the text
	keys    map[string]string
	last    map[string]any
	fail    []func(w http.ResponseWriter, r *http.Request) bool // each for one post; true = it has answered
	after   bool                                                // fails after it has taken the post
	expired bool
	entered int    // sessions begun
	shut    bool   // nobody can sign in: the connection ends
	shown   string // the address that is given of a post; "" = a good one
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in) // a GET has none
	say := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			n.t.Error(err)
		}
	}
	failed := func() bool {
		if len(n.fail) == 0 {
			return false
		}
		f := n.fail[0]
		n.fail = n.fail[1:]
		return f(w, r)
	}
	text := func(name string) string { s, _ := in[name].(string); return s }
	token := r.Header.Get("Authorization")
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v2/instance":
		say(200, map[string]any{"configuration": map[string]any{"statuses": map[string]any{"max_characters": 200, "characters_reserved_per_url": 31}}})
	case "GET /api/v1/accounts/verify_credentials":
		say(200, map[string]string{"id": "7"})
	case "GET /api/v1/accounts/7/statuses":
		var out []map[string]string
		for id, x := range n.posts {
			out = append(out, map[string]string{"id": id, "url": "https://social.example/@h/" + id, "content": "<p>" + html.EscapeString(x) + "</p>"})
		}
		say(200, out)
	case "POST /api/v1/statuses", "POST /2/tweets":
		if token != "Bearer token" {
			say(401, map[string]string{"error": "The access token is invalid"})
			return
		}
		if !n.after && failed() {
			return
		}
		body := text("status") + text("text")
		id, known := n.keys[r.Header.Get("Idempotency-Key")]
		if !known || strings.HasPrefix(r.URL.Path, "/2/") {
			id = "p" + string(rune('1'+len(n.posts)))
			n.posts[id] = body
			n.keys[r.Header.Get("Idempotency-Key")] = id
		}
		n.last = in
		if n.after && failed() {
			return
		}
		if strings.HasPrefix(r.URL.Path, "/2/") {
			say(201, map[string]any{"data": map[string]string{"id": id, "text": body}})
			return
		}
		say(200, map[string]string{"id": id, "url": cmp.Or(n.shown, "https://social.example/@h/"+id)})
	case "POST /xrpc/com.atproto.server.createSession":
		if n.shut {
			hangUp(w, r)
			return
		}
		if text("password") != "token" {
			say(401, map[string]string{"error": "AuthenticationRequired"})
			return
		}
		n.expired = false
		n.entered++
		say(200, map[string]string{"accessJwt": "jwt", "did": "did:plc:h"})
	case "POST /xrpc/com.atproto.repo.putRecord":
		if n.expired || token != "Bearer jwt" {
			say(400, map[string]string{"error": "ExpiredToken"})
			return
		}
		if !n.after && failed() {
			return
		}
		uri := "at://did:plc:h/" + text("collection") + "/" + text("rkey")
		record, _ := in["record"].(map[string]any)
		n.posts[uri], _ = record["text"].(string)
		n.last = record
		if n.after && failed() {
			return
		}
		say(200, map[string]string{"uri": uri, "cid": "c1"})
	case "GET /xrpc/com.atproto.repo.getRecord":
		q := r.URL.Query()
		uri := "at://" + q.Get("repo") + "/" + q.Get("collection") + "/" + q.Get("rkey")
		if _, ok := n.posts[uri]; !ok {
			say(400, map[string]string{"error": "RecordNotFound"})
			return
		}
		say(200, map[string]string{"uri": uri, "cid": "c1"})
	default:
		n.t.Errorf("%s %s", r.Method, r.URL.Path)
	}
}

func opened(t *testing.T, kind string) (*network, post.Sender) {
	n := &network{t: t, posts: map[string]string{}, keys: map[string]string{}}
	site := httptest.NewServer(n)
	t.Cleanup(site.Close)
	s, err := post.New(post.Account{Network: kind, URL: site.URL, User: "h.example", Secret: secret.NewText("token")}, &http.Client{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return n, s
}

func status(code int, head ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(head); i += 2 {
			w.Header().Set(head[i], head[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

// hangUp ends the connection without an answer, as one that is too slow looks to who waits.
func hangUp(w http.ResponseWriter, _ *http.Request) bool {
	c, _, err := http.NewResponseController(w).Hijack()
	return err == nil && c.Close() == nil
}

var kinds = []string{post.Mastodon, post.Bluesky, post.X}

// A post stands once, with a receipt, as a reply where there is something to reply to.
func TestPosts(t *testing.T) { // breaks: inc.public-notice
	for _, kind := range kinds {
		n, s := opened(t, kind)
		m := message("Sign-in fails: we look into it. " + strings.Repeat("Größe und mehr 🎈 ", 40))
		out := post.Publish(t.Context(), s, m, false)
		if out.State != post.Posted || out.Receipt.ID == "" || !strings.HasPrefix(out.Receipt.URL, "https://") || len(n.posts) != 1 {
			t.Fatalf("%s: %+v %v", kind, out, n.posts)
		}
		for _, text := range n.posts {
			head, _, ok := strings.Cut(text, "…\n\n"+m.Link)
			if !ok || !strings.HasPrefix(m.Text, head) || !utf8.ValidString(text) || strings.HasSuffix(head, " ") || m.Text[len(head)] != ' ' {
				t.Errorf("%s: %q", kind, text)
			}
		}
		m.Key, m.At, m.Replies = "k2", at.Add(time.Minute), &out.Receipt
		if out := post.Publish(t.Context(), s, m, false); out.State != post.Posted || len(n.posts) != 2 {
			t.Errorf("%s: %+v", kind, out)
		}
		b, err := json.Marshal(n.last)
		want := map[string]string{post.Mastodon: `"in_reply_to_id":"p1"`, post.Bluesky: `"root":{"cid":"c1","uri":"` + out.Receipt.ID + `"}`, post.X: `"reply":{"in_reply_to_tweet_id":"p1"}`}[kind]
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: no %s in %s", kind, want, b)
		}
	}
}

// An answer that fails after the post was taken, or that never comes, makes one post, or what
// is called unknown: never two.
func TestNeverTwice(t *testing.T) { // breaks: inc.public-notice
	for _, kind := range kinds {
		for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{"500": status(500), "503": status(503), "hang-up": hangUp, "no JSON": func(w http.ResponseWriter, _ *http.Request) bool {
			_, err := w.Write([]byte("<html>"))
			return err == nil
		}} {
			for _, after := range []bool{true, false} {
				n, s := opened(t, kind)
				n.after, n.fail = after, []func(http.ResponseWriter, *http.Request) bool{fault}
				m := message("Sign-in fails.")
				out := post.Publish(t.Context(), s, m, false)
				if kind == post.X {
					if out.State != post.Unknown {
						t.Errorf("x, %s: %+v", name, out)
					}
					continue
				}
				if kind == post.Mastodon && name == "hang-up" && out.State == post.Posted && len(n.posts) == 1 {
					continue // the key of the post lets the transport ask again by itself
				}
				if out.State != post.Unsure {
					t.Errorf("%s, %s: %+v", kind, name, out)
				}
				n.keys = map[string]string{} // more than an hour later
				out = post.Publish(t.Context(), s, m, true)
				if out.State != post.Posted || out.Receipt.URL == "" || len(n.posts) != 1 {
					t.Errorf("%s, %s, taken before %v: %+v, %d posts", kind, name, after, out, len(n.posts))
				}
			}
		}
		_, s := opened(t, kind)
		if out := post.Publish(t.Context(), s, message("x"), true); kind == post.X && out.State != post.Unknown || kind != post.X && out.State != post.Posted {
			t.Errorf("%s, a process that died: %+v", kind, out)
		}
	}
}

// A network that is full is left alone for as long as it says; one that is away is tried again;
// what it does not want is not.
func TestRefusals(t *testing.T) {
	for _, kind := range kinds {
		n, s := opened(t, kind)
		n.fail = []func(http.ResponseWriter, *http.Request) bool{status(429, "Retry-After", "90"), status(429, "X-RateLimit-Reset", time.Now().Add(10*time.Minute).UTC().Format(time.RFC3339)), status(429), status(422), status(403)}
		for i, want := range []struct {
			state    post.State
			min, max time.Duration
		}{{post.Deferred, 90 * time.Second, 90 * time.Second}, {post.Deferred, 9 * time.Minute, 10 * time.Minute}, {post.Deferred, time.Minute, time.Minute}, {post.Rejected, 0, 0}, {post.Rejected, 0, 0}} {
			if out := post.Publish(t.Context(), s, message("x"), false); out.State != want.state || out.Wait < want.min || out.Wait > want.max || len(n.posts) != 0 {
				t.Errorf("%s, %d: %+v", kind, i, out)
			}
		}
		away, err := post.New(post.Account{Network: kind, URL: "http://127.0.0.1:1", Secret: secret.NewText("token")}, &http.Client{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if out := post.Publish(t.Context(), away, message("x"), false); out.State != post.Deferred {
			t.Errorf("%s, away: %+v", kind, out)
		}
		wrong, err := post.New(post.Account{Network: kind, URL: n.url(t), Secret: secret.NewText("another")}, &http.Client{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if out := post.Publish(t.Context(), wrong, message("x"), false); out.State != post.Rejected || out.Code != "401" {
			t.Errorf("%s, another token: %+v", kind, out)
		}
	}
	if _, err := post.New(post.Account{Network: "carrier-pigeon"}, nil, nil); err == nil {
		t.Error("any network is taken")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, s := opened(t, post.Mastodon)
	if out := s.Send(ctx, message("x")); out.State != post.Deferred {
		t.Errorf("ended before it began: %+v", out)
	}
}

func (n *network) url(t *testing.T) string {
	site := httptest.NewServer(n)
	t.Cleanup(site.Close)
	return site.URL
}

// A session that has ended begins anew; the link stands where its bytes are, and the record's
// name is a TID that is the same at each try.
func TestBluesky(t *testing.T) {
	n, s := opened(t, post.Bluesky)
	m := message("Größe 🎈: nichts geht")
	if out := post.Publish(t.Context(), s, m, false); out.State != post.Posted {
		t.Fatalf("%+v", out)
	}
	n.expired = true
	if out := post.Publish(t.Context(), s, m, false); out.State != post.Posted || len(n.posts) != 1 {
		t.Errorf("%+v %v", out, n.posts)
	}
	text, _ := n.last["text"].(string)
	facets, _ := n.last["facets"].([]any)
	index, _ := facets[0].(map[string]any)["index"].(map[string]any)
	from, _ := index["byteStart"].(float64)
	to, _ := index["byteEnd"].(float64)
	if text[int(from):int(to)] != m.Link {
		t.Errorf("the link is at %v to %v of %q", from, to, text)
	}
	for uri := range n.posts {
		if key := uri[strings.LastIndexByte(uri, '/')+1:]; len(key) != 13 || strings.Trim(key, "234567abcdefghijklmnopqrstuvwxyz") != "" || key[0] > 'j' {
			t.Errorf("no TID: %s", key)
		}
	}
}

// Nothing was posted where nobody could sign in: it is tried again, and not unknown.
func TestNobodyIsLetIn(t *testing.T) { // breaks: inc.public-notice
	n, s := opened(t, post.Bluesky)
	n.shut = true
	if out := post.Publish(t.Context(), s, message("Sign-in fails."), false); out.State != post.Deferred {
		t.Errorf("%+v", out)
	}
}

// An address that a server gives is shown only where it leads somewhere on the web; and a post is found
// again in what the server made HTML of.
func TestMastodon(t *testing.T) { // breaks: inc.public-notice
	n, s := opened(t, post.Mastodon)
	for _, bad := range []string{"javascript://h/alert(1)", "ftp://social.example/p1", "https://user:word@social.example/p1", "/p1"} {
		n.shown = bad
		m := message("Sign-in fails.")
		m.Key = bad
		if out := post.Publish(t.Context(), s, m, false); out.State != post.Posted || out.Receipt.URL != "" {
			t.Errorf("%s: %+v", bad, out)
		}
	}
	m := message("Sign-in fails.")
	m.Link = "https://app.example.test/-/status?a=1&b=2"
	n.posts["p9"] = "Sign-in fails.\n\n" + m.Link
	if r, found, err := s.Find(t.Context(), m); !found || r.ID != "p9" || err != nil {
		t.Errorf("%+v %v %v", r, found, err)
	}
}

// What a post weighs on each network is what that network takes at most, and nearly that: a link
// weighs what it says there, however long it is, and a letter from afar two on X.
func TestWeights(t *testing.T) {
	for kind, x := range map[string]struct {
		most, link int
		weigh      func(rune) int
	}{post.Mastodon: {200, 31, func(rune) int { return 1 }}, post.Bluesky: {300, -1, func(rune) int { return 1 }}, post.X: {280, 23, func(r rune) int {
		if r < 4352 {
			return 1
		}
		return 2
	}}} {
		for _, word := range []string{"word ", "Größe ", "字字 ", "🎈 "} {
			n, s := opened(t, kind)
			m := message(strings.Repeat(word, 400))
			if out := post.Publish(t.Context(), s, m, false); out.State != post.Posted {
				t.Fatalf("%s: %+v", kind, out)
			}
			for _, text := range n.posts {
				head, ok := strings.CutSuffix(text, m.Link)
				weight := x.link
				if weight < 0 {
					weight = utf8.RuneCountInString(m.Link)
				}
				for _, r := range head {
					weight += x.weigh(r)
				}
				if !ok || weight > x.most || weight < x.most-12 {
					t.Errorf("%s, %q: weighs %d of %d: %q", kind, word, weight, x.most, text)
				}
			}
		}
	}
}

// A session of Bluesky is kept: signing in is what it counts most strictly.
func TestSessionIsKept(t *testing.T) {
	n, s := opened(t, post.Bluesky)
	for i := range 5 {
		m := message("Sign-in fails.")
		m.Key, m.At = strings.Repeat("k", i+1), at.Add(time.Duration(i)*time.Minute)
		if out := post.Publish(t.Context(), s, m, i > 2); out.State != post.Posted {
			t.Fatalf("%+v", out)
		}
	}
	if n.entered != 1 || len(n.posts) != 5 {
		t.Errorf("%d sessions for %d posts", n.entered, len(n.posts))
	}
}

// FuzzCut makes posts of any text: no longer than the network takes, whole, and with the link.
func FuzzCut(f *testing.F) {
	f.Add("Sign-in fails. We look into it.", 60)
	f.Add(strings.Repeat("x", 400), 280)
	f.Add("  \n🎈 🎈🎈", 30)
	const link = "https://a.example/x"
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 30 || limit > 5000 || !utf8.ValidString(text) {
			return
		}
		out := post.Cut(text, link, limit, len(link), func(rune) int { return 1 })
		if utf8.RuneCountInString(out) > limit || !strings.HasSuffix(out, "\n\n"+link) || !utf8.ValidString(out) {
			t.Errorf("%q", out)
		}
		if head := strings.TrimSuffix(out, "\n\n"+link); head != strings.TrimSpace(text) && (!strings.HasSuffix(head, "…") || !strings.HasPrefix(strings.TrimSpace(text), strings.TrimSuffix(head, "…"))) {
			t.Errorf("%q of %q", head, text)
		}
	})
}

package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"writ/internal/secret"
)

const (
	mostTime   = 10 * time.Second
	mostAnswer = 64 << 10
	mostBody   = 256 << 10
	mostWait   = 6 * time.Hour // that a receiver may ask for
)

// hook is what a webhook carries, after Standard Webhooks: a type, a time, the data.
type hook struct {
	Type string    `json:"type"` // writ.page, writ.ticket, writ.notice
	At   time.Time `json:"timestamp"`
	Data hookData  `json:"data"`
}

type hookData struct {
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	Severity string `json:"severity"`
	About    string `json:"about,omitempty"`
	URL      string `json:"url,omitempty"`
	Dedup    string `json:"dedup_key,omitempty"`
	Again    bool   `json:"may_repeat,omitempty"` // the answer to a try before was not heard
}

// hand sends a body to an address, signed where there is a key.
func (s *Service) hand(ctx context.Context, c Call) outcome {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	var handed atomic.Bool
	var version atomic.Uint32
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) { handed.Store(i.Err == nil) }, GotConn: func(i httptrace.GotConnInfo) {
		if c, ok := i.Conn.(*tls.Conn); ok {
			version.Store(uint32(c.ConnectionState().Version))
		}
	}})
	r, err := http.NewRequestWithContext(ctx, cmp.Or(c.method, http.MethodPost), c.URL.Reveal(), bytes.NewReader(c.Body))
	if err != nil {
		return outcome{state: Rejected, code: "address"} // it was read before; its text may hold a secret
	}
	r.Header.Set("Content-Type", "application/json")
	if c.form {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("User-Agent", "Writ")
	for k, v := range c.head {
		r.Header.Set(k, v.Reveal())
	}
	if c.Key.Len() > 0 {
		sign(r.Header, c.Key, c.ID, s.Now(), c.Body)
	}
	out := s.post(r)
	if out.state == Deferred && out.code == noAnswer && handed.Load() {
		out.state = Unknown
	}
	out.peer = r.URL.Hostname()
	if v := version.Load(); v != 0 {
		out.tls = tls.VersionName(uint16(v))
	}
	return out
}

const noAnswer = "no_answer"

// post sends the request and reads what the answer means.
func (s *Service) post(r *http.Request) outcome {
	tr := &http.Transport{Proxy: nil, DialContext: s.dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Roots}, TLSHandshakeTimeout: 5 * time.Second,
		DisableKeepAlives: true, MaxResponseHeaderBytes: mostAnswer, ForceAttemptHTTP2: true}
	if r.URL.Scheme == "http" {
		tr.DialContext = s.dialPlain
	}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if errors.Is(err, errInside) {
		return outcome{state: Rejected, code: "address_refused", text: errInside.Error()}
	}
	if err != nil {
		return outcome{state: Deferred, code: noAnswer, text: cause(err)}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, mostAnswer)) // the head is the answer; words that break off are cut
	out := outcome{state: Rejected, code: strconv.Itoa(resp.StatusCode), text: string(text)}
	switch n := resp.StatusCode; {
	case n >= 200 && n < 300:
		out.state = Accepted
	case n == http.StatusRequestTimeout, n == http.StatusTooEarly, n == http.StatusTooManyRequests, n >= 500:
		out.state, out.wait = Deferred, retryAfter(resp.Header.Get("Retry-After"), s.Now())
	}
	return out
}

// cause is an error of a request without its address, which may be a secret.
func cause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); 0 = nothing of use.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, mostWait)
	}
	if at, err := http.ParseTime(s); err == nil && at.After(now) {
		return min(at.Sub(now), mostWait)
	}
	return 0
}

// sign sets the headers of Standard Webhooks.
func sign(h http.Header, key secret.Bytes, id string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	m := hmac.New(sha256.New, key.Reveal())
	fmt.Fprintf(m, "%s.%s.", id, at)
	m.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

// slackEscape keeps a text from becoming a link or a call of everybody.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackText(t *try) string {
	text := "*" + slackEscape.Replace(t.Subject) + "*\n" + slackEscape.Replace(t.Text)
	if t.again {
		text = repeats + "\n" + text
	}
	if t.Link != nil {
		text += "\n" + slackEscape.Replace(t.Link.Text) + ": " + slackEscape.Replace(t.Link.URL)
	}
	return text
}

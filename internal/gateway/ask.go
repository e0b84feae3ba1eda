package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
)

const (
	askTime = 20 * time.Second
	askMost = 4 << 20 // bytes of an answer
	askTry  = 3       // times
)

// refuseAsked keeps the public from the path at which this server alone asks the application.
var refuseAsked = deny(netPrivate, fault.NotFound, "not_public", fault.Public{Problem: "There is nothing at this address."})

// Ask posts a question of this server to the path that the settings name, and gives the answer.
// It goes to the application's own places and nowhere else: no name is looked up that the gate does not
// dial anyway, and a redirect is not followed. The assertion says kind writ, and is bound to path and body.
// What the application does for it must be the same when it is asked twice: a question that was not
// answered is asked again.
func (g *Gateway) Ask(ctx context.Context, question []byte) ([]byte, error) { // clause: net.private
	if g.asks == "" {
		return nil, fault.New(fault.Unavailable, "no_resolver", fault.Public{Problem: "The settings name no path at which the application is asked.", Next: "Set gateway: resolver: in writ.yaml."})
	}
	var err error
	for try := 1; ; try++ {
		var answer []byte
		var final bool
		if answer, final, err = g.askOnce(ctx, question); err == nil {
			return answer, nil
		}
		if final || try == askTry || ctx.Err() != nil {
			return nil, fault.Wrap(fault.Unavailable, "not_answered", fmt.Errorf("ask the application: %w", err))
		}
	}
}

// askOnce asks; final = to ask again would not help.
func (g *Gateway) askOnce(ctx context.Context, question []byte) (answer []byte, final bool, err error) {
	ctx, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	sum := func(b []byte) string { s := sha256.Sum256(b); return base64.RawURLEncoding.EncodeToString(s[:]) }
	by := g.signer.sign(actor.System("writ"), SessionFacts{}, assertionKey{aud: g.signer.aud, route: g.asks, method: http.MethodPost, target: sum([]byte(g.asks)), body: sum(question)}, g.now())
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Opaque: g.asks}, Host: g.origin.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Writ-Assertion": {by}, "User-Agent": {"Writ"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {g.origin.Host}},
		Body:   io.NopCloser(bytes.NewReader(question)), ContentLength: int64(len(question))}).WithContext(ctx)
	res, err := g.pool.RoundTrip(r, "")
	if err != nil {
		return nil, false, err //nolint:wrapcheck // the caller says what
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, res.StatusCode < 500, fmt.Errorf("it answered %d", res.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "application/json" {
		return nil, true, fmt.Errorf("it answered with %.40q, and not with JSON", kind)
	}
	answer, err = io.ReadAll(io.LimitReader(res.Body, askMost+1))
	if err == nil && len(answer) > askMost {
		return nil, true, errors.New("its answer has more than 4 MiB")
	}
	return answer, false, err //nolint:wrapcheck // the caller says what
}

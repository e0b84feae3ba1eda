package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/journal"
	"writ/internal/watch/export"
)

// from says whose records these are.
func (s *Service) from() []export.Pair {
	return []export.Pair{{Name: "service.name", Value: "writ"}, {Name: "service.version", Value: s.Version}, {Name: "host.name", Value: s.Host}}
}

// logs sends entries. What the receiver refuses for good is halved until it is one entry, so
// that one bad record takes no other with it.
func (t *target) logs(ctx context.Context, es []journal.Entry) (sent, error) {
	body, err := export.Logs(es, t.s.from())
	if err != nil {
		return sent{}, err //nolint:wrapcheck // says what
	}
	answer, err := t.post(ctx, export.LogsPath, body)
	switch {
	case errors.Is(err, errRefused) && len(es) > 1:
		half := len(es) / 2
		a, err := t.logs(ctx, es[:half])
		if err != nil {
			return a, err
		}
		b, err := t.logs(ctx, es[half:])
		if b.why == "" {
			b.why = a.why
		}
		return sent{a.done + b.done, a.refused + b.refused, b.why}, err
	case errors.Is(err, errRefused):
		return sent{1, 1, strings.TrimSpace(strings.TrimPrefix(err.Error(), errRefused.Error()))}, nil
	case err != nil:
		return sent{}, err
	}
	n, why := export.Refused(answer)
	if n = min(n, int64(len(es))); n == 0 {
		return sent{done: len(es)}, nil
	}
	t.s.Log.Warn("a receiver took some entries only", "export", t.Name, "refused", n, "says", why)
	return sent{len(es), n, "partial"}, nil
}

func (t *target) metrics(ctx context.Context, fs []export.Family) error {
	body, err := export.Metrics(fs, t.s.from(), t.s.began, t.s.Now())
	if err != nil {
		return err //nolint:wrapcheck // says what
	}
	ctx, cancel := context.WithTimeout(ctx, t.s.limit)
	defer cancel()
	_, err = t.post(ctx, export.MetricsPath, body)
	return err
}

// post sends a body. Its errors hold no address.
func (t *target) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(t.Address, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is not good")
	}
	r.Header.Set("Content-Type", export.OTLPType)
	r.Header.Set("User-Agent", "Writ")
	if t.Token.Len() > 0 {
		r.Header.Set("Authorization", "Bearer "+t.Token.Reveal())
	}
	tr := &http.Transport{Proxy: nil, DialContext: t.s.DialPlain, DialTLSContext: t.Dial, DisableKeepAlives: true, MaxResponseHeaderBytes: mostReply}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostReply))
	switch n := resp.StatusCode; {
	case n/100 == 2 && err == nil:
		return answer, nil
	case n == http.StatusBadRequest, n == http.StatusRequestEntityTooLarge, n == http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("%w %d", errRefused, n)
	default:
		t.pause(resp.Header.Get("Retry-After"))
		return nil, errors.Join(err, fmt.Errorf("the receiver answers %d", n))
	}
}

// pause keeps what a receiver asked for, in seconds; no longer than an hour.
func (t *target) pause(after string) {
	n, err := strconv.ParseInt(after, 10, 32)
	if err != nil || n <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = t.s.Now().Add(min(time.Duration(n)*time.Second, time.Hour))
}

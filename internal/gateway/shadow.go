package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway/openapi"
	"writ/internal/ledger"
)

// Answers of the application are compared with the description as well, beside the
// request and without consequence: what differs is counted. One answer in 50 ms is
// looked at, so that it costs the same whatever the traffic.
type shadow struct {
	next  atomic.Int64 // when another answer may be looked at, Unix nanoseconds
	queue chan sample

	mu   sync.Mutex // guards seen
	seen map[*openapi.Operation]*compared
}

const (
	shadowEvery = 50 * time.Millisecond
	shadowQueue = 16
	maxCompared = 2000 // operations told apart between two flushes
)

type sample struct {
	op     *openapi.Operation
	status int
	kind   string
	body   []byte
}

type compared struct{ looked, differ, missed int64 }

// compare takes a copy of an answer for the comparison, as it passes.
func (v *visit) compare(res *http.Response) {
	op := v.match.Op
	if op == nil || !v.judged || v.r.Method == http.MethodHead || res.StatusCode == http.StatusPartialContent || res.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	s, now := &v.g.shadow, v.g.now().UnixNano()
	next := s.next.Load()
	if now < next && next-now <= int64(shadowEvery) || !s.next.CompareAndSwap(next, now+int64(shadowEvery)) {
		return
	}
	if len(res.Header["Content-Encoding"]) > 0 {
		s.miss(op)
		return
	}
	take := sample{op: op, status: res.StatusCode, kind: res.Header.Get("Content-Type")}
	if !op.Wants(res.StatusCode, res.Header) {
		s.put(take)
		return
	}
	res.Body = &copied{ReadCloser: res.Body, s: s, take: take}
}

// copied keeps what passes, up to a size.
type copied struct {
	io.ReadCloser
	s    *shadow
	take sample
	buf  bytes.Buffer
	done bool
}

// Read implements io.Reader.
func (c *copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.done {
		return n, err //nolint:wrapcheck // the body's own
	}
	if c.buf.Write(p[:n]); c.buf.Len() > openapi.MaxAnswer {
		c.done, c.buf = true, bytes.Buffer{}
		c.s.miss(c.take.op)
	} else if errors.Is(err, io.EOF) {
		c.done, c.take.body = true, c.buf.Bytes()
		c.s.put(c.take)
	}
	return n, err //nolint:wrapcheck // the body's own
}

func (s *shadow) put(t sample) {
	select {
	case s.queue <- t:
	default:
		s.miss(t.op)
	}
}

func (s *shadow) miss(op *openapi.Operation) { s.count(op, func(c *compared) { c.missed++ }) }

func (s *shadow) count(op *openapi.Operation, f func(*compared)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.seen[op]
	if c == nil {
		if len(s.seen) >= maxCompared {
			return
		}
		c = &compared{}
		s.seen[op] = c
	}
	f(c)
}

// compareAnswers works through the queue, outside the requests.
func (g *Gateway) compareAnswers(ctx context.Context) {
	for {
		select {
		case t := <-g.shadow.queue:
			g.shadow.look(t)
		case <-ctx.Done():
			return
		}
	}
}

func (s *shadow) look(t sample) {
	keyword, err := t.op.CheckAnswer(t.status, t.kind, t.body)
	s.count(t.op, func(c *compared) {
		c.looked++
		if keyword != "" || err != nil {
			c.differ++
		}
	})
}

// flushCompared records what was counted.
func (g *Gateway) flushCompared(ctx context.Context) error {
	for range len(g.shadow.queue) {
		select {
		case t := <-g.shadow.queue:
			g.shadow.look(t)
		default:
		}
	}
	g.shadow.mu.Lock()
	seen := g.shadow.seen
	g.shadow.seen = map[*openapi.Operation]*compared{}
	g.shadow.mu.Unlock()
	var all []ledger.Event
	for op, c := range seen {
		all = append(all, AnswersCompared{Operation: op.Method + " " + op.Template, Compared: c.looked, Differ: c.differ, Missed: c.missed})
	}
	slices.SortFunc(all, func(a, b ledger.Event) int {
		return cmp.Compare(a.(AnswersCompared).Operation, b.(AnswersCompared).Operation)
	})
	var errs []error
	for part := range slices.Chunk(all, entriesAChange) {
		_, err := g.db.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
			for _, e := range part[1:] {
				tx.Also(e)
			}
			return part[0], nil
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

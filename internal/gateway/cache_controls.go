package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway/cache"
	"writ/internal/secret"
)

// plants are answers that controls have put in the application's place, each under a
// path that nobody can guess and only while the control runs.
type plants struct {
	mu sync.Mutex
	at map[string]func(head http.Header) *http.Response
}

func (p *plants) put(path string, answer func(http.Header) *http.Response) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[string]func(http.Header) *http.Response{}
	}
	p.at[path] = answer
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.at, path)
	}
}

// answer is what is planted at a path; nil nearly always.
func (p *plants) answer(path string, head http.Header) *http.Response {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.at[path]; f != nil {
		return f(head)
	}
	return nil
}

// CacheControls check host.cdn. door leads to the public listener.
func (g *Gateway) cacheControls(door *canary.Door) []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	return []clause.Control{
		{ID: "gateway.cache-classes", Clause: hostCDN, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeClasses,
			Says: "Looks whether each class of static files that the policy names has a route that is served from the cache"},
		{ID: "gateway.cache-hits", Clause: hostCDN, Kind: clause.Probe, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.probeHits(ctx, door) },
			Says: "Asks twice for a public file of each class, which must come from the cache the second time, and reads how often visitors' files did"},
		{ID: "gateway.cache-private", Clause: hostCDN, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryPrivate(ctx, door) },
			Says: "Lets an application answer with a private mark in each way that must not be kept, and looks for the mark in the cache and in others' answers"},
	}
}

// probeClasses looks for classes that nothing serves.
func (g *Gateway) probeClasses(context.Context) (clause.Result, error) {
	var without, with []string
	for _, c := range g.CacheClasses() {
		if len(c.Routes) == 0 {
			without = append(without, c.Class)
		} else {
			with = append(with, c.Class)
		}
	}
	if len(without) > 0 {
		return clause.Failed("no route in routes.yaml serves these classes of the policy from the cache: " + strings.Join(without, ", ")), nil
	}
	r := clause.Passed("each class has a route that is served from the cache: " + strings.Join(with, ", "))
	r.Population = int64(len(with))
	return r, nil
}

const (
	enoughAsked = 1000 // requests of a class, from which its rate says something
	leastRate   = 20   // percent of them that must come from the cache
)

// probeHits asks twice for a planted file of each class.
func (g *Gateway) probeHits(ctx context.Context, door *canary.Door) (clause.Result, error) {
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	var rates []string
	var n int64
	for _, c := range g.CacheClasses() {
		if c.Asked() >= enoughAsked && c.Rate < leastRate {
			return clause.Failed(fmt.Sprintf("only %d %% of %d requests for %s came from the cache: look at the Cache-Control of the application", c.Rate, c.Asked(), c.Class)), nil
		}
		if c.Asked() > 0 {
			rates = append(rates, fmt.Sprintf("%s %d %%", c.Class, c.Rate))
		}
		for _, route := range g.cachedRoutes(c.Class) {
			n++
			got, err := g.twice(ctx, door, route, c.Class)
			if err != nil {
				return clause.Result{}, err
			}
			if !strings.Contains(got, "hit") {
				return clause.Failed(fmt.Sprintf("a public file of the class %s at %s was not served from the cache the second time: %s", c.Class, route, got)), nil
			}
		}
	}
	if n == 0 {
		return clause.Failed("no route is served from the cache"), nil
	}
	says := fmt.Sprintf("a public file came from the cache the second time at %d routes", n)
	if len(rates) > 0 {
		says += "; of visitors' requests did " + strings.Join(rates, ", ")
	}
	r := clause.Passed(says)
	r.Population = n
	return r, nil
}

// cachedRoutes are the paths of a class under which a file can be planted.
func (g *Gateway) cachedRoutes(class string) []string {
	var out []string
	t := g.current()
	for i := range t.file.routes {
		path := t.file.paths[i]
		if r := t.nodes[path].rule(http.MethodGet); r != nil && r.cache == class && strings.HasSuffix(path, "/") {
			out = append(out, t.file.routes[i].Path)
		}
	}
	return out
}

// plantedFile is an answer of the application that a control has made up.
func plantedFile(now time.Time, mark, kind string, head http.Header) *http.Response {
	h := head.Clone()
	h.Set("Content-Type", kind)
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(strings.NewReader(mark)), ContentLength: int64(len(mark))}
}

// typeOf is a type of a class.
func typeOf(class string) string {
	t := classes[class][0]
	if strings.HasSuffix(t, "/") {
		t += "x-canary"
	}
	return t
}

// twice asks twice for a public file and says what the cache says of the second answer.
func (g *Gateway) twice(ctx context.Context, door *canary.Door, route, class string) (string, error) {
	path := route + "canary-" + strings.ToLower(secret.RandomText(12).Reveal())
	mark := secret.RandomText(12).Reveal()
	defer g.plants.put(path, func(http.Header) *http.Response {
		return plantedFile(g.now(), mark, typeOf(class), http.Header{"Cache-Control": {"max-age=60"}})
	})()
	defer g.forgetPlant(path)
	got := ""
	for range 2 {
		status, how, _, err := seenAs(ctx, door, path, nil)
		if err != nil {
			return "", err
		}
		got = strconv.Itoa(status) + " " + how
	}
	return got, nil
}

// seenAs asks once and returns status, Cache-Status and body.
func seenAs(ctx context.Context, door *canary.Door, path string, head http.Header) (status int, how, body string, err error) {
	v := door.Visitor()
	defer v.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Base, nil)
	if err != nil {
		return 0, "", "", fmt.Errorf("make request: %w", err)
	}
	req.URL.Opaque = path
	for name, vs := range head {
		req.Header[name] = vs
	}
	a, err := v.Send(req)
	if err != nil {
		return 0, "", "", fmt.Errorf("ask at the door: %w", err)
	}
	return a.Status, a.Header.Get("Cache-Status"), a.Body, nil
}

// tryPrivate is the canary for what must never be kept.
func (g *Gateway) tryPrivate(ctx context.Context, door *canary.Door) (clause.Result, error) { // clause: host.cdn
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	class, routes := "", []string(nil)
	for _, c := range g.CacheClasses() {
		if routes = g.cachedRoutes(c.Class); len(routes) > 0 {
			class = c.Class
			break
		}
	}
	if class == "" {
		return clause.Result{}, errors.New("no route is served from the cache, so nothing can be kept")
	}
	kind := typeOf(class)
	own := http.Header{"Cookie": {"session=" + secret.RandomText(12).Reveal()}, "X-Forwarded-Host": {"elsewhere.invalid"}, "User-Agent": {"canary-" + secret.RandomText(9).Reveal()}}
	ways := []struct {
		act, kind string
		answer    http.Header
		ask       http.Header
	}{
		{"an answer that says private", kind, http.Header{"Cache-Control": {"private, max-age=60"}}, nil},
		{"an answer that says no-store", kind, http.Header{"Cache-Control": {"max-age=60, no-store"}}, nil},
		{"an answer that sets a cookie", kind, http.Header{"Cache-Control": {"public, max-age=60"}, "Set-Cookie": {"app=1"}}, nil},
		{"an answer that varies by everything", kind, http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"*"}}, nil},
		{"an answer to a login that does not say public", kind, http.Header{"Cache-Control": {"max-age=60"}}, http.Header{"Authorization": {"Basic Y2FuYXJ5OmNhbmFyeQ=="}}},
		{"an account page under the name of a file", "application/vnd.canary+json", http.Header{"Cache-Control": {"max-age=60"}}, nil},
	}
	var steps []clause.Step
	for _, way := range ways {
		s, err := g.plantPrivate(ctx, door, routes[0], way.act, way.kind, way.answer, way.ask)
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, s)
	}
	s, err := g.plantMirror(ctx, door, routes[0], kind, own)
	if err != nil {
		return clause.Result{}, err
	}
	steps = append(steps, s)
	got, err := g.twice(ctx, door, routes[0], class)
	if err != nil {
		return clause.Result{}, err
	}
	steps = append(steps, clause.Step{Act: "ask twice for a public file", Expected: "200 from the cache", Got: got, OK: strings.HasPrefix(got, "200 Writ; hit"), Control: true})
	return clause.Judge(fmt.Sprintf("%d answers with a private mark passed and were not kept, and nothing of who asked reached the application", len(steps)-1), steps...), nil
}

// plantPrivate asks for an answer that holds a mark, then as somebody else.
func (g *Gateway) plantPrivate(ctx context.Context, door *canary.Door, route, act, kind string, answer, ask http.Header) (clause.Step, error) {
	path := route + "canary-" + strings.ToLower(secret.RandomText(12).Reveal())
	mark, asked := secret.RandomText(16).Reveal(), 0
	defer g.plants.put(path, func(http.Header) *http.Response {
		asked++
		return plantedFile(g.now(), mark+strconv.Itoa(asked), kind, answer)
	})()
	defer g.forgetPlant(path)
	step := clause.Step{Act: "ask twice for " + act, Expected: "fetched each time, kept never"}
	for i := range 2 {
		status, _, body, err := seenAs(ctx, door, path, ask)
		if err != nil {
			return step, err
		}
		if status != http.StatusOK {
			step.Got = fmt.Sprint("answered ", status)
			return step, nil
		}
		ask = nil // the second comes without a name
		if i == 1 && body != mark+"2" {
			step.Got = "the second visitor got the answer to the first"
			return step, nil
		}
	}
	if step.Got = step.Expected; g.cache.Holds(mark + "1") { // the second answer may be public, where the first was to a login
		step.Got = "the mark is in the cache"
	}
	step.OK = step.Got == step.Expected
	return step, nil
}

// plantMirror asks for an answer that repeats all that the application was told.
func (g *Gateway) plantMirror(ctx context.Context, door *canary.Door, route, kind string, own http.Header) (clause.Step, error) {
	path := route + "canary-" + strings.ToLower(secret.RandomText(12).Reveal())
	defer g.plants.put(path, func(head http.Header) *http.Response {
		return plantedFile(g.now(), fmt.Sprint(head), kind, http.Header{"Cache-Control": {"max-age=60"}})
	})()
	defer g.forgetPlant(path)
	step := clause.Step{Act: "ask with a cookie and forged headers for an answer that repeats them", Expected: "none of them in it"}
	_, _, body, err := seenAs(ctx, door, path, own)
	if err != nil {
		return step, err
	}
	step.Got = step.Expected
	for name, vs := range own {
		if strings.Contains(body, vs[0]) {
			step.Got = "the application saw " + name
		}
	}
	step.OK = step.Got == step.Expected
	return step, nil
}

// forgetPlant takes what a control has planted out of the cache again.
func (g *Gateway) forgetPlant(path string) { g.cache.Purge(cache.Wish{Path: path}) }

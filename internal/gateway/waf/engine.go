package waf

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/types"
)

// Engine holds the rules. It is safe for concurrent use.
type Engine struct {
	in, out coraza.WAF
	setup   string
	asks    map[int]bool  // the rules that add to the score of a request
	tells   map[int]bool  // of an answer
	n       atomic.Uint64 // names of transactions

	mu      sync.Mutex // guards the making of screens
	screens [LevelMost + 1]atomic.Pointer[screened]
}

// screened is the screen of one level; a nil one is none, and the whole set is asked.
type screened struct {
	waf coraza.WAF
	err error // why there is none
}

// Options are how an Engine is made.
type Options struct {
	// Setup are directives in the place of ours that say which methods and media types
	// are no attack; for the rule set's own tests.
	Setup string
}

// Open loads the rules, which takes some tenths of a second. Close must be called.
func Open(o Options) (*Engine, error) {
	register()
	more := o.Setup
	if more == "" {
		more = further
	}
	e := &Engine{asks: map[int]bool{}, tells: map[int]bool{}, setup: more}
	var err error
	if e.in, err = load(directives(requestFiles, more), e.asks); err != nil {
		return nil, fmt.Errorf("load the rules for requests: %w", err)
	}
	if e.out, err = load(directives(answerFiles, more), e.tells); err != nil {
		return nil, errors.Join(fmt.Errorf("load the rules for answers: %w", err), e.Close())
	}
	return e, nil
}

func load(text string, scoring map[int]bool) (coraza.WAF, error) {
	c := coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(text)
	return coraza.NewWAF(experimental.WAFConfigWithRuleObserver(c, func(r types.RuleMetadata) { //nolint:wrapcheck // wrapped by the caller
		if scores(r) {
			scoring[r.ID()] = true
		}
	}))
}

// Scores reports whether a rule is one that adds to the score, and so may be excepted.
func (e *Engine) Scores(rule int) bool { return e.asks[rule] || e.tells[rule] }

func scores(r types.RuleMetadata) bool {
	return slices.ContainsFunc(r.Tags(), func(t string) bool { return strings.HasPrefix(t, levelTag) })
}

// Close gives back what the rules hold in the process's caches. Looks under way end well.
func (e *Engine) Close() error {
	var errs []error
	all := []coraza.WAF{e.in, e.out}
	for i := range e.screens {
		if s := e.screens[i].Load(); s != nil {
			all = append(all, s.waf)
		}
	}
	for _, w := range all {
		if c, ok := w.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Request is what is looked at: what the application would get, byte for byte.
type Request struct {
	Method string
	Target string // as it is forwarded: path and query
	Proto  string // HTTP/1.1
	Host   string
	Header http.Header // without Host
	Coding []string    // transfer encodings, which net/http keeps apart
	Body   []byte
	Level  int // of paranoia
}

// Match is one rule that found something in one variable. What it found is not kept.
type Match struct {
	Rule     int
	Variable string // such as ARGS
	Field    string // such as the argument's name; what a client made up, so bounded and for people alone
	Length   int    // of what was looked at, in bytes, after the rule's decoding
	Score    int    // what it adds; 0 = the request is refused whatever the sum, because it cannot be read
}

// Verdict is what the rules say.
type Verdict struct {
	Matches []Match
	Score   int
	Refuse  bool
}

// Without is the verdict when some matches are no longer counted. A request that could not be read
// stays refused: behind what stopped the reading nothing was looked at.
func (v Verdict) Without(except func(Match) bool) Verdict {
	out := Verdict{}
	unread := false
	for _, m := range v.Matches {
		if m.Score > 0 && except(m) {
			continue
		}
		unread = unread || m.Score == 0
		out.Matches = append(out.Matches, m)
		out.Score += m.Score
	}
	if len(out.Matches) == len(v.Matches) {
		return v
	}
	out.Refuse = v.Refuse && (unread || out.Score >= ThresholdIn)
	return out
}

// Look takes a request through the rules. Where the screen says that none of them
// matches, that is the verdict; else the whole set is asked.
func (e *Engine) Look(r *Request) (Verdict, error) {
	if s := e.screen(r.Level); s.waf != nil {
		tx, done, err := e.run(s.waf, r)
		clean := err == nil && !tx.IsInterrupted()
		done()
		if clean || err != nil {
			return Verdict{}, err
		}
	}
	return e.whole(r, nil)
}

// screen is the screen of a level, made when it is first wanted.
func (e *Engine) screen(level int) *screened {
	level = min(max(level, LevelLeast), LevelMost)
	if s := e.screens[level].Load(); s != nil {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.screens[level].Load(); s != nil {
		return s
	}
	s := &screened{}
	if s.waf, s.err = newScreen(level, e.setup, e.asks); s.err != nil {
		s.waf = nil
	}
	e.screens[level].Store(s)
	return s
}

// Screen makes the screen of a level and says why there is none, if so.
func (e *Engine) Screen(level int) error { return e.screen(level).err }

// whole is the engine itself, without any shortcut.
func (e *Engine) whole(r *Request, seen func(types.MatchedRule)) (Verdict, error) {
	tx, done, err := e.run(e.in, r)
	defer done()
	if err != nil {
		return Verdict{}, err
	}
	tx.ProcessLogging()
	return verdict(tx, seen), nil
}

// run takes a request through the rules of one engine. done gives it back.
func (e *Engine) run(w coraza.WAF, r *Request) (tx types.Transaction, done func(), err error) {
	id := strconv.FormatUint(e.n.Add(1), 36)
	tx = w.NewTransactionWithID(id)
	done = func() {
		held.Delete(id)
		_ = tx.Close() // it gives back memory; there are no files
	}
	tx.ProcessConnection("", 0, "", r.Level)
	tx.ProcessURI(r.Target, r.Method, r.Proto)
	if r.Host != "" {
		tx.AddRequestHeader("Host", r.Host)
	}
	for _, name := range sortedNames(r.Header) {
		for _, value := range r.Header[name] {
			tx.AddRequestHeader(name, value)
		}
	}
	for _, c := range r.Coding {
		tx.AddRequestHeader("Transfer-Encoding", c)
	}
	if tx.ProcessRequestHeaders() == nil {
		err = e.body(tx, id, r)
	}
	return tx, done, err
}

// body hands the body over. One in parts waits for the engine's reader of such bodies
// (multipart.go), which leaves files alone: its length has no limit here.
func (e *Engine) body(tx types.Transaction, id string, r *Request) error {
	if len(r.Body) > 0 {
		b := r.Body
		if InParts(r.Header.Get("Content-Type")) {
			held.Store(id, b)
			b = b[:1]
		} else if len(b) > MaxBody {
			return ErrTooLarge
		}
		if _, _, err := tx.WriteRequestBody(b); err != nil {
			return fmt.Errorf("hand over body: %w", err)
		}
	}
	if _, err := tx.ProcessRequestBody(); err != nil {
		return fmt.Errorf("look at body: %w", err)
	}
	return nil
}

// ErrTooLarge is a body that is longer than what can be looked at.
var ErrTooLarge = errors.New("waf: body is too large to be looked at")

// Answer is what the application said.
type Answer struct {
	Status int
	Proto  string
	Header http.Header
	Body   []byte // at most MaxAnswer are looked at
	Level  int
}

// LookAt takes an answer through the rules. Only pages have a body to look at: see Pages.
func (e *Engine) LookAt(a *Answer) (Verdict, error) { return e.answer(a, nil) }

func (e *Engine) answer(a *Answer, seen func(types.MatchedRule)) (Verdict, error) {
	tx := e.out.NewTransactionWithID(strconv.FormatUint(e.n.Add(1), 36))
	defer tx.Close() //nolint:errcheck // it gives back memory; there are no files
	tx.ProcessConnection("", 0, "", a.Level)
	tx.ProcessURI("/", http.MethodGet, "HTTP/1.1")
	tx.ProcessRequestHeaders()
	if _, err := tx.ProcessRequestBody(); err != nil {
		return Verdict{}, fmt.Errorf("begin with the answer: %w", err)
	}
	for _, name := range sortedNames(a.Header) {
		for _, value := range a.Header[name] {
			tx.AddResponseHeader(name, value)
		}
	}
	if tx.ProcessResponseHeaders(a.Status, a.Proto) == nil {
		if len(a.Body) > 0 && tx.IsResponseBodyProcessable() {
			if _, _, err := tx.WriteResponseBody(a.Body[:min(len(a.Body), MaxAnswer)]); err != nil {
				return Verdict{}, fmt.Errorf("hand over answer: %w", err)
			}
		}
		if _, err := tx.ProcessResponseBody(); err != nil {
			return Verdict{}, fmt.Errorf("look at answer: %w", err)
		}
	}
	return verdict(tx, seen), nil
}

// Pages reports whether an answer's body can be looked at: a whole page of text, sent as
// it is or by gzip. Streams, parts of files and other packings are nothing to wait for.
func Pages(status int, h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return status != http.StatusPartialContent && status != http.StatusSwitchingProtocols && strings.EqualFold(strings.TrimSpace(kind), "text/html") &&
		slices.Contains([]string{"", "identity", "gzip"}, strings.ToLower(h.Get("Content-Encoding"))) && h.Get("Content-Range") == ""
}

const levelTag = "paranoia-level/"

// verdict reads what the rules found: those that score, and those of own that refuse.
func verdict(tx types.Transaction, seen func(types.MatchedRule)) Verdict {
	v := Verdict{Refuse: tx.Interruption() != nil}
	for _, m := range tx.MatchedRules() {
		if seen != nil {
			seen(m)
		}
		id, score := m.Rule().ID(), 0
		switch {
		case scores(m.Rule()):
			score = weight(m.Rule().Severity())
		case id >= firstOwn && id <= lastOwn && m.Disruptive() && v.Refuse:
		default:
			continue
		}
		v.add(id, score, m.MatchedDatas())
	}
	return v
}

const firstOwn, lastOwn = 102, 106 // without those that only set something

// add notes one rule: of a chain, what its last condition was about.
func (v *Verdict) add(rule, score int, all []types.MatchData) {
	deepest := 0
	for _, d := range all {
		deepest = max(deepest, d.ChainLevel())
	}
	for _, d := range all {
		if d.ChainLevel() == deepest {
			v.Matches = append(v.Matches, Match{Rule: rule, Variable: d.Variable().Name(), Field: short(d.Key()), Length: len(d.Value()), Score: score})
			v.Score += score
		}
	}
}

// weight is what a rule of a severity adds in the rule set.
func weight(s types.RuleSeverity) int {
	switch s {
	case types.RuleSeverityCritical:
		return 5
	case types.RuleSeverityError:
		return 4
	case types.RuleSeverityWarning:
		return 3
	case types.RuleSeverityNotice:
		return 2
	}
	return 5
}

func short(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:most], "?")
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for n := range h {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

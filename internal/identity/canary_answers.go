package identity

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/secret"
)

// answers is what strangers could learn of an address from how and when they are answered.
// A run asks a few pairs at each door and judges them with those of the runs before it, so
// that a day's two hundred cost the server next to nothing at any moment. After a start
// the judgement rests on what was measured since.
type answers struct {
	mu      sync.Mutex
	times   map[string]*pairs // by door
	letters []string          // addresses of the last run, whose letters nobody reads
}

// pairs are times of answers for a known and an unknown address, asked one after the other.
type pairs struct{ known, unknown []time.Duration }

const (
	pairsARun  = 8 // the least with which the test below can say no
	pairsADay  = 200
	farApart   = 2 * time.Millisecond
	likely     = 0.001
	neighbours = 3 // known addresses of a run: each may ask for three links

	networksAPair = 3 // tried before a pair is given up
)

func (p *pairs) add(known, unknown time.Duration) {
	p.known, p.unknown = append(p.known, known), append(p.unknown, unknown)
	over := max(len(p.known)-pairsADay, 0)
	p.known, p.unknown = p.known[over:], p.unknown[over:]
}

// tell reports the two figures, and whether a stranger could not tell the one from the other.
func (p *pairs) tell() (string, bool) {
	chance, gap := mannWhitney(p.known, p.unknown), (median(p.known) - median(p.unknown)).Abs()
	return fmt.Sprintf("p %.3f, medians %s apart, %d pairs", chance, gap.Round(10*time.Microsecond), len(p.known)), chance > likely || gap < farApart
}

// answersControl is the enumeration of auth.best-practice.
func (s *Service) answersControl(door *canary.Door) clause.Control {
	a := &answers{times: map[string]*pairs{}}
	return clause.Control{ID: "identity.answers", Clause: "auth.best-practice", Kind: clause.Canary,
		Says:  "Compares content and time of the answers for known and unknown addresses at sign-in, sign-up and recovery",
		Every: 50 * time.Minute, FreshFor: 2 * time.Hour,
		Run: s.canary(door, "identity.answers", a.story)}
}

// asking is what a door is asked for an address.
type asking struct {
	door string
	body func(email string) map[string]string
}

func (a *answers) story(t *trial) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.door.Forget(a.letters...)
	known, unknown := make([]planted, neighbours), make([]string, neighbours)
	a.letters = nil
	for i := range known {
		known[i], unknown[i] = t.member(fmt.Sprint(t.control, "-", i)), t.door.Address()
		a.letters = append(a.letters, known[i].email, unknown[i])
	}
	if t.err != nil {
		return ""
	}
	t.sweeps(a.letters...)
	asked := []asking{
		{"sign-in", func(e string) map[string]string { return map[string]string{"email": e, "password": letters(20)} }},
		{"recovery", func(e string) map[string]string { return map[string]string{"email": e} }},
	}
	if t.s.Rules.Get().Open == "on" {
		asked = append(asked, asking{"sign-up", func(e string) map[string]string {
			return map[string]string{"email": e, "password": t.s.freshPassword().Reveal(), "name": ""}
		}})
	}
	var said []string
	for _, q := range asked {
		said = append(said, a.measure(t, q, known, unknown))
	}
	t.works("sign in as the first of the known", t.signIn(t.visitor(), known[0].email, known[0].password.Reveal()), http.StatusOK)
	return "nobody could tell known from unknown addresses: " + strings.Join(said, "; ")
}

// measure asks the pairs of a run at one door.
func (a *answers) measure(t *trial, q asking, known []planted, unknown []string) string {
	times := a.times[q.door]
	if times == nil {
		times = &pairs{}
		a.times[q.door] = times
	}
	different, asked := "", 0
	for i := range pairsARun {
		uneven := 0
		for range networksAPair {
			one, other := t.pair(q, known[i%neighbours].email, unknown[i%neighbours])
			if t.err != nil {
				return ""
			}
			ok, what := same(one.Answer, other.Answer)
			if one.Status == http.StatusTooManyRequests || other.Status == http.StatusTooManyRequests {
				if uneven++; ok || uneven < networksAPair {
					continue // this network has asked enough, perhaps between the two
				}
			}
			if asked++; ok {
				times.add(one.took, other.took)
			} else {
				different = what
			}
			break
		}
	}
	if asked == 0 {
		t.err = fmt.Errorf("%s: every network that was tried has asked enough", q.door)
		return ""
	}
	t.step("ask for known and unknown addresses at "+q.door, "the same answers", map[bool]string{true: "the same answers", false: different}[different == ""], different == "", false)
	if len(times.known) == 0 {
		return ""
	}
	figures, alike := times.tell()
	t.step("compare how long the answers took at "+q.door, fmt.Sprintf("p above %v, or medians less than %s apart", likely, farApart), figures, alike, false)
	return q.door + " " + figures
}

// timed is an answer and how long it took.
type timed struct {
	canary.Answer
	took time.Duration
}

// pair asks for a known and an unknown address, in an order that chance decides, over one
// warm connection of a network of its own.
func (t *trial) pair(q asking, known, unknown string) (one, other timed) {
	v := t.visitor()
	v.HTTP.Jar = nil // the second is asked as the first was
	t.ask(v, "GET", "session", nil)
	ask := func(email string) timed {
		start := t.s.Now()
		a := t.ask(v, "POST", q.door, q.body(email))
		return timed{a, t.s.Now().Sub(start)}
	}
	if secret.Random(1).Reveal()[0]&1 == 0 {
		one = ask(known)
		return one, ask(unknown)
	}
	other = ask(unknown)
	return ask(known), other
}

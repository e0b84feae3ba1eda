package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/vault/keys"
	"writ/internal/web"
)

// bigCertificate is the largest certificate that is pasted, as a form carries it.
const bigCertificate = 1 << 20

// erasedRoutes are the page for whoever holds the certificate of an erasure.
func (c *Console) erasedRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/erased", Who: web.Anyone, Handle: c.showErased},
		{Pattern: "POST /-/erased", Who: web.Anyone, Limit: bigCertificate, Handle: c.checkErased},
	}
}

type erasedPage struct {
	Form   web.Form
	Head   string // what came of it; "" = nothing was checked
	Mark   web.Mark
	Says   string
	Wrong  []string // what does not fit
	Facts  []fact
	Proves []string
	Not    []string
	Key    string // of the journal
}

// showErased asks for a certificate. The link of a letter names a person by a random id:
// then the certificate of their erasure is filled in.
func (c *Console) showErased(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	p, st := erasedPage{}, http.StatusOK
	text := ""
	if id := r.URL.Query().Get("person"); id != "" {
		err := c.Identity.ErasureChecked(r.Context(), web.StrangerOf(r))
		if err == nil {
			text, err = c.certificateOf(r.Context(), id)
		}
		if err != nil {
			if fault.KindOf(err) == fault.Internal || fault.KindOf(err) == fault.Unavailable {
				return err
			}
			p.Form.Fault, st = err, status(err)
		}
	}
	return c.erased(w, r, st, p, text)
}

var personID = regexp.MustCompile(`^[0-9a-z-]{8,64}$`)

// certificateOf is the certificate of a person's erasure: the entry of the journal with
// what proves it.
func (c *Console) certificateOf(ctx context.Context, person string) (string, error) {
	none := fault.New(fault.NotFound, "not_erased", fault.Public{Problem: "Nothing was erased under this link, or its entry has no place in the journal yet.",
		Expected: "The whole link of the letter, a minute after it came at the earliest.", Next: "Try it again in a moment, or paste a certificate."})
	if !personID.MatchString(person) {
		return "", none
	}
	es, err := c.Journal.List(ctx, journal.Query{Act: identity.PersonErased{}.About().Name, Object: "person/" + person, Limit: 1})
	if err != nil {
		return "", fmt.Errorf("find the entry of an erasure: %w", err)
	}
	if len(es) == 0 {
		return "", none
	}
	proof, leaf, err := c.Journal.Proof(ctx, es[0].N)
	if err != nil {
		return "", fmt.Errorf("prove an erasure: %w", err)
	}
	key, err := c.Journal.Key(ctx)
	if err != nil {
		return "", fmt.Errorf("prove an erasure: %w", err)
	}
	b, err := json.MarshalIndent(keys.Certified{Entry: es[0].N, Leaf: string(leaf), Proof: string(proof), Key: key}, "", "  ")
	return string(b), err
}

// checkErased examines what was pasted, against the journal's own key.
func (c *Console) checkErased(w http.ResponseWriter, r *http.Request, _ actor.Actor) error { // clause: data.crypto-erase
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(f.Get("certificate"))
	p := erasedPage{}
	if err := c.Identity.ErasureChecked(r.Context(), web.StrangerOf(r)); err != nil {
		if fault.KindOf(err) != fault.Limited {
			return err
		}
		p.Form.Fault = err
		return c.erased(w, r, status(err), p, text)
	}
	key, err := c.Journal.Key(r.Context())
	if err != nil {
		return err
	}
	report := verify.Certificate([]byte(text), verify.Options{Keys: []string{key}})
	if report.Code == verify.Unreadable || report.Code == verify.True && report.Erasure == nil {
		p.Form.Fault = fault.New(fault.Invalid, "certificate_unreadable", fault.Public{Problem: "This is no certificate of an erasure.", Fields: []fault.Field{{Name: "certificate", Code: "certificate_unreadable",
			Problem: "Paste the whole file, from the first brace to the last."}}})
		return c.erased(w, r, status(p.Form.Fault), p, text)
	}
	if err := c.judgeErased(r.Context(), report, &p); err != nil {
		return err
	}
	return c.erased(w, r, http.StatusOK, p, text)
}

// wrong is what does not fit, for people.
var wrong = map[string]string{
	"certificate": "The text is not the one that was recorded: something in it was altered.",
	"entry":       "The entry in it is about something else, or cannot be read.",
	"proof":       "The entry in it does not stand in our journal.",
}

// judgeErased says what a report means.
func (c *Console) judgeErased(ctx context.Context, report verify.Report, p *erasedPage) error {
	if report.Code != verify.True {
		p.Head, p.Mark = "This certificate is not true", web.Mark{State: web.Broken, Word: "not true"}
		p.Says = "It is not what our journal recorded, or it was not issued here. Do not rely on it."
		for _, x := range report.Problems {
			p.Wrong = append(p.Wrong, wrong[x.What])
		}
		return nil
	}
	e := report.Erasure
	gone, err := c.stillGone(ctx, e.Keys)
	if err != nil {
		return err
	}
	what := map[string]string{"person": "what we held about a person", "vault": "a team's vault", "kms": "what a key of programs sealed", "class": "a class of data", "stranger": "a month of strangers", "backup": "a set of backups"}[e.Kind]
	p.Facts = []fact{{Name: "Certificate", Text: e.ID, Code: true}, {Name: "Made unreadable", Text: what}, {Name: "Keys destroyed", Text: web.Number(int64(len(e.Keys)))}, {Name: "Destroyed", Time: e.Destroyed}}
	if e.Rows > 0 {
		p.Facts = append(p.Facts, fact{Name: "Was sealed under them", Text: web.Count(e.Rows, "record") + "; of " + web.Number(e.Sampled) + " tried afterwards none opened"})
	}
	dead := e.Dead
	if dead.IsZero() {
		dead = keys.LastCopy(e.Destroyed)
	}
	p.Facts = append(p.Facts, fact{Name: "Last copy of a key", Text: "in a backup at most until " + day(dead)})
	p.Facts = append(p.Facts, fact{Name: "Journal", Text: "one of " + web.Count(report.Size, "entry") + ", under a signed checkpoint"})
	if !gone {
		p.Head, p.Mark = "A key is back", web.Mark{State: web.Broken, Word: "a key answers"}
		p.Says = "The certificate is the one that we recorded, and a key that it calls destroyed answers here now. Tell us: this must not be."
		return nil
	}
	p.Head, p.Mark = "This certificate is true", web.Mark{State: web.Holds, Word: "true"}
	p.Says = "It is, to the letter, the one that our journal recorded. We tried its keys again just now: none is there."
	p.Proves = []string{"The keys that this data was sealed under were destroyed at the time it says. What is left of the data is bytes that nobody can read.",
		"The record was made then and was not changed since: the journal is signed, and a changed entry would not fit."}
	p.Not = []string{"That nobody read the data and kept it elsewhere while it could be read.",
		"That no copy of the database of keys was taken behind our back. A backup that this server made is over on the day above; one that is put back before is put right before anything opens."}
	return nil
}

func (c *Console) stillGone(ctx context.Context, ids []string) (bool, error) {
	if c.Encryption == nil {
		return false, errors.New("console: there are no keys here to ask")
	}
	return c.Encryption.StillGone(ctx, ids)
}

func (c *Console) erased(w http.ResponseWriter, r *http.Request, st int, p erasedPage, text string) error {
	p.Form.Action, p.Form.Act = "/-/erased", "Check it"
	p.Form.Fields = []web.Field{{Name: "certificate", Label: "Certificate", Type: "textarea", Rows: 9, Required: true, Value: text,
		Hint: "Paste the whole file, or open the link of the letter that told you of the erasure."}}
	if key, err := c.Journal.Key(r.Context()); err == nil {
		p.Key = key
	}
	return c.answer(w, r, st, "erased", web.View{Title: "Check an erasure", Lead: "When data is erased for good, we give a certificate. Here anybody checks whether one is true, without an account.", Frame: web.Document, Data: p})
}

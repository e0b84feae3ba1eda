package upstream

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// linkAge is how lately somebody must have shown who they are before they link.
const linkAge = 15 * time.Minute

// index is how an account elsewhere is kept: by issuer and subject, and so that the
// table names nobody.
func (s *Service) index(ctx context.Context, issuer, subject string) (string, error) {
	k, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return "", fmt.Errorf("index of upstream account: %w", err)
	}
	m := k.MAC("account", issuer, subject) // clause: auth.unique-credentials
	return hex.EncodeToString(m[:]), nil
}

func (s *Service) personOf(ctx context.Context, subject string) (string, error) {
	var person string
	if err := ledger.One(ctx, s.DB, personOfSubject, []any{&person}, subject); err != nil {
		return "", fmt.Errorf("find upstream account: %w", err)
	}
	return person, nil
}

// byDomain links a person whose verified address lies in a domain that staff has set.
func (s *Service) byDomain(ctx context.Context, p *provider, pr proof, subject string) (string, error) {
	_, domain, ok := strings.Cut(pr.email, "@")
	if !ok || strings.Contains(domain, "@") || !slices.Contains(p.Domains, strings.ToLower(domain)) { // clause: auth.best-practice
		return "", fault.NotFound
	}
	x, err := s.People.PersonByAddress(ctx, pr.email)
	if err != nil {
		return "", err
	}
	err = s.link(ctx, actor.Actor{Kind: actor.Person, ID: x.ID, Via: "https"}, p.Name, subject, "domain")
	if errors.Is(err, fault.Conflict) { // they have another account there: that one is theirs
		return "", fault.NotFound
	}
	return x.ID, err
}

// link binds an account elsewhere to a person: one account one person, one person one
// account at each provider.
func (s *Service) link(ctx context.Context, who actor.Actor, name, subject, how string) error {
	tell, err := s.People.WayLetter(ctx, who.ID, s.title(name), "added")
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertLink, subject, name, who.ID, how, tx.Now().UnixMicro())
		if err == nil {
			err = tell(ctx, tx)
		}
		return UpstreamLinked{Person: who.ID, Provider: name, How: how}, err
	})
	if errors.Is(err, fault.Conflict) {
		return &fault.Error{Kind: fault.Conflict, Code: "upstream_taken", Err: err, Public: fault.Public{Problem: "This account elsewhere is linked already, or you have linked another one there.",
			Next: "Take back the other link first."}}
	}
	if err != nil {
		return fmt.Errorf("link upstream account: %w", err)
	}
	return nil
}

// finishLink links for the person who asked, in the session in which they asked.
func (s *Service) finishLink(w http.ResponseWriter, r *http.Request, who actor.Actor, p *provider, pr proof, subject string) error {
	if who.Kind != actor.Person || who.Session != pr.going.Link { // clause: auth.best-practice
		return s.refused(r.Context(), web.StrangerOf(r), p.Name, "other-session")
	}
	if have, err := s.personOf(r.Context(), subject); err == nil && have == who.ID {
		return s.onward(w, r, atLinks)
	}
	if err := s.link(r.Context(), who, p.Name, subject, "session"); err != nil {
		return err
	}
	web.Tell(w, web.Notice{Says: "You can now sign in with " + p.Title + "."})
	return s.onward(w, r, atLinks)
}

// Unlink takes back a link of one's own. Whoever has no password must set one first.
func (s *Service) Unlink(ctx context.Context, who actor.Actor, name string) error {
	if who.Kind != actor.Person {
		return fault.Newf(fault.Denied, "no_account", "Only people link accounts.")
	}
	x, err := s.People.ActivePerson(ctx, who.ID)
	if err != nil {
		return err
	}
	if x.Password.IsZero() {
		return fault.New(fault.Conflict, "last_way", fault.Public{Problem: "This is the only way you sign in.", Next: "Set a password first: ask for a link on the sign-in page."})
	}
	tell, err := s.People.WayLetter(ctx, who.ID, s.title(name), "removed")
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, deleteLink, who.ID, name)
		if err == nil && n == 0 {
			err = fault.Newf(fault.NotFound, "no_link", "There is no such link.")
		}
		if err == nil {
			err = tell(ctx, tx)
		}
		return UpstreamUnlinked{Person: who.ID, Provider: name}, err
	})
	if err != nil {
		return fmt.Errorf("unlink upstream account: %w", err)
	}
	return nil
}

// title is how people know a provider.
func (s *Service) title(name string) string {
	if p := s.all[name]; p != nil {
		return p.Title
	}
	return name
}

// linked are the providers that a person linked, and since when.
func (s *Service) linked(ctx context.Context, person string) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := s.DB.Each(ctx, linksOf, func(scan ledger.Scan) error {
		var name string
		var since int64
		err := scan(&name, &since)
		out[name] = time.UnixMicro(since).UTC()
		return err
	}, person)
	if err != nil {
		return nil, fmt.Errorf("list upstream links: %w", err)
	}
	return out, nil
}

// UpstreamLinked is an account elsewhere with which a person may sign in.
type UpstreamLinked struct {
	Person   string `class:"public"`
	Provider string `class:"public"`
	How      string `class:"public"` // session, domain
}

// About implements ledger.Event.
func (e UpstreamLinked) About() ledger.About {
	return ledger.About{Name: "identity.upstream-linked", Clause: "auth.unique-credentials", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// UpstreamUnlinked is a link that was taken back.
type UpstreamUnlinked struct {
	Person   string `class:"public"`
	Provider string `class:"public"`
}

// About implements ledger.Event.
func (e UpstreamUnlinked) About() ledger.About {
	return ledger.About{Name: "identity.upstream-unlinked", Clause: "auth.unique-credentials", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// UpstreamRefused is an answer of a provider that was not taken.
type UpstreamRefused struct {
	Provider string `class:"public"`
	Cause    string `class:"public"`
	Count    int64  `class:"public"`
}

// About implements ledger.Event.
func (e UpstreamRefused) About() ledger.About {
	return ledger.About{Name: "identity.upstream-refused", Clause: "auth.best-practice"}
}

const (
	personOfSubject = `SELECT person FROM identity_upstream_link WHERE subject = $1`
	insertLink      = `INSERT INTO identity_upstream_link (subject, provider, person, how, linked) VALUES ($1, $2, $3, $4, $5)`
	deleteLink      = `DELETE FROM identity_upstream_link WHERE person = $1 AND provider = $2`
	linksOf         = `SELECT provider, linked FROM identity_upstream_link WHERE person = $1`
	takeState       = `INSERT INTO identity_upstream_state (hash, taken) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`
	dropStates      = `DELETE FROM identity_upstream_state WHERE taken < $1`
)

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/incident"
	"writ/internal/keyring"
)

// resolver implements incident.Resolver: the application is asked at the path that the settings
// name. docs/breach.md tells its authors what is asked and how to answer.
type resolver struct {
	ask   func(ctx context.Context, question []byte) ([]byte, error)
	mark  func(keyring.Subject) string
	every func(ctx context.Context, fn func(identity.Team, identity.Person) error) error
}

// resolver is nil where the settings name no path: then a record is told through its team alone.
func (a *App) resolver(s seen) incident.Resolver {
	if a.config.Gateway.Resolver == "" {
		return nil
	}
	return resolver{a.gateway.Ask, a.ring.Pseudonym, s.eachPerson}
}

type (
	recordName struct {
		Team   string `json:"team"`
		Record string `json:"record"` // NAME=VALUE
	}
	recordQuestion struct {
		Version int          `json:"version"`
		ID      string       `json:"id"` // the same when it is asked again
		Records []recordName `json:"records"`
	}
	recordAnswer struct {
		Records []struct {
			recordName
			People []recordPerson `json:"people"`
		} `json:"records"`
	}
	recordPerson struct {
		Person string `json:"person,omitempty"` // sub of the assertion: somebody with an account here
		ID     string `json:"id,omitempty"`     // the application's own, with name and email
		Name   string `json:"name,omitempty"`
		Email  string `json:"email,omitempty"`
	}
)

// readOwners reads an answer strictly: what is misread would leave somebody untold.
func readOwners(answer []byte, asked []string) (map[string][]recordPerson, error) {
	bad := func(says string) (map[string][]recordPerson, error) {
		return nil, fault.New(fault.Unavailable, "resolver", fault.Public{Problem: "The application's answer cannot be read: " + says, Expected: "What docs/breach.md says of the resolver."})
	}
	var a recordAnswer
	d := json.NewDecoder(strings.NewReader(string(answer)))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return bad("it is not such JSON.")
	}
	out := map[string][]recordPerson{}
	for _, r := range a.Records {
		name := r.Team + "/" + r.Record
		if _, twice := out[name]; twice || !slices.Contains(asked, name) {
			return bad("a record stands twice, or was not asked for.")
		}
		out[name] = []recordPerson{}
		for _, p := range r.People {
			if p.Person == "" {
				at, err := mail.ParseAddress(p.Email)
				if p.ID == "" || err != nil || at.Address != p.Email {
					return bad("somebody has neither an account nor an id and an address.")
				}
			}
			out[name] = append(out[name], p)
		}
	}
	return out, nil
}

// Whose implements incident.Resolver. Whoever has an account here is meant by it, however the
// application names them: nobody gets two letters.
func (r resolver) Whose(ctx context.Context, id string, records []string) (map[string][]incident.Owner, error) { // clause: inc.breach-scope
	q := recordQuestion{Version: 1, ID: id, Records: []recordName{}}
	for _, name := range records {
		team, record, _ := strings.Cut(name, "/")
		q.Records = append(q.Records, recordName{team, record})
	}
	question, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode a question: %w", err)
	}
	answer, err := r.ask(ctx, question)
	if err != nil {
		return nil, err
	}
	got, err := readOwners(answer, records)
	if err != nil {
		return nil, err
	}
	account := map[string]string{}
	if err := r.every(ctx, func(_ identity.Team, p identity.Person) error {
		account[strings.ToLower(p.Email)] = p.ID
		return nil
	}); err != nil {
		return nil, err
	}
	out := map[string][]incident.Owner{}
	for name, people := range got {
		out[name] = []incident.Owner{}
		for _, p := range people {
			if is := account[strings.ToLower(p.Email)]; p.Person == "" && p.Email != "" && is != "" {
				p.Person = is
			}
			o := incident.Owner{Subject: "person/" + r.mark(keyring.Person(p.Person))}
			if p.Person == "" {
				o = incident.Owner{Subject: "person/" + r.mark(keyring.Person("application/"+p.ID)), Name: p.Name, Email: p.Email}
			}
			out[name] = append(out[name], o)
		}
	}
	return out, nil
}

package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/ledger"
)

// Resolver is the application, which knows whose a record is.
type Resolver interface {
	// Whose says it of records, TEAM/NAME=VALUE, at most 500 of them. A record that is not in the
	// answer is not known; one with nobody is about people who are gone. Asked again under the same
	// id it says the same. Errors: fault.Unavailable.
	Whose(ctx context.Context, id string, records []string) (map[string][]Owner, error)
}

// Owner is somebody whom a record is about.
type Owner struct {
	Subject string `json:"subject"` // person/PSEUDONYM
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"` // of whoever has no account here
}

// The limits of what is asked.
const (
	recordsAPage = 500
	mostAsked    = 50_000 // records; what is beyond must be stated
	mostOwners   = 20     // of a record
	ownersAPart  = 1000
)

// ownedRecord is whose a record is, as it is kept.
type ownedRecord struct {
	Record string  `json:"record"`
	Owners []Owner `json:"owners"`
}

// askWhose asks the application page by page whose the records of a set are. Nothing is kept of
// a page that was not answered: all is asked again, under the same ids.
func (s *Service) askWhose(ctx context.Context, c Case, r Resolver, in breach.Input) ([]ownedRecord, error) { // clause: inc.breach-scope
	names, err := breach.Named(ctx, in, mostAsked)
	if err != nil {
		return nil, err
	}
	var out []ownedRecord
	for page := range slices.Chunk(names, recordsAPage) {
		got, err := r.Whose(ctx, digest(append([]string{c.ID, strconv.Itoa(in.Version)}, page...)...), page)
		if err != nil {
			return nil, err
		}
		for _, name := range page {
			owners, known := got[name]
			if !known {
				continue
			}
			if owners, err = goodOwners(owners); err != nil {
				return nil, err
			}
			out = append(out, ownedRecord{name, owners})
		}
	}
	return out, nil
}

// goodOwners brings the people of a record into one order, and refuses what is none.
func goodOwners(all []Owner) ([]Owner, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Owner) int { return strings.Compare(a.Subject, b.Subject) })
	all = slices.CompactFunc(all, func(a, b Owner) bool { return a.Subject == b.Subject })
	if len(all) > mostOwners || slices.ContainsFunc(all, func(o Owner) bool {
		return !strings.HasPrefix(o.Subject, "person/") || len(o.Subject) > 100 || len(o.Name) > 200 || len(o.Email) > 254
	}) {
		return nil, fault.Newf(fault.Unavailable, "resolver", "The application names people of a record in a way that cannot be read.")
	}
	return all, nil
}

// subjectsOf is what a set is computed with.
func subjectsOf(all []ownedRecord) map[string][]string {
	out := map[string][]string{}
	for _, r := range all {
		people := []string{}
		for _, o := range r.Owners {
			people = append(people, o.Subject)
		}
		out[r.Record] = people
	}
	return out
}

// sealWhose makes the parts that are kept of a version.
func (s *Service) sealWhose(ctx context.Context, c Case, scope string, all []ownedRecord) (boxes [][]byte, err error) {
	for part := range slices.Chunk(all, ownersAPart) {
		text, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encode whose records are: %w", err)
		}
		box, err := s.seal(ctx, c.ID, "incident_scope_whose.box", scope+"/"+strconv.Itoa(len(boxes)), string(text))
		if err != nil {
			return nil, err
		}
		boxes = append(boxes, box)
	}
	return boxes, nil
}

func (s *Service) keepWhose(ctx context.Context, tx *ledger.Tx, c Case, scope string, boxes [][]byte) error {
	for n, box := range boxes {
		if _, err := tx.Exec(ctx, insertWhose, scope, int64(n), c.ID, us(tx.Now()), box); err != nil {
			return err
		}
	}
	return nil
}

// whose gives what was kept for a version, or with scope "" for all of them, the oldest first.
func (s *Service) whose(ctx context.Context, c Case, scope string, fn func(ownedRecord)) error {
	type part struct {
		row string
		box []byte
	}
	var parts []part
	if err := s.DB.Each(ctx, whoseOf, func(scan ledger.Scan) error {
		var id string
		var n int64
		var box []byte
		err := scan(&id, &n, &box)
		if scope == "" || scope == id {
			parts = append(parts, part{id + "/" + strconv.FormatInt(n, 10), box})
		}
		return err
	}, c.ID); err != nil {
		return fmt.Errorf("read whose records are: %w", err)
	}
	for _, p := range parts {
		text, err := s.open(ctx, "incident_scope_whose.box", p.row, p.box)
		if err != nil {
			return err
		}
		var all []ownedRecord
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return fault.Wrap(fault.Gone, "scope_erased", err)
		}
		for _, r := range all {
			fn(r)
		}
	}
	return nil
}

// owners are those without an account here whom records are about, by subject, as each was named when
// their version was frozen: a letter is made of that, and not of what the application says by then.
func (s *Service) owners(ctx context.Context, c Case) (map[string]Recipient, error) {
	out := map[string]Recipient{}
	err := s.whose(ctx, c, "", func(r ownedRecord) {
		for _, o := range r.Owners {
			if o.Email != "" {
				out[o.Subject] = Recipient{Person: o.Subject, Name: o.Name, Email: o.Email}
			}
		}
	})
	return out, err
}

const (
	insertWhose = `INSERT INTO incident_scope_whose (scope_id, n, case_id, made, box) VALUES ($1, $2, $3, $4, $5)`
	whoseOf     = `SELECT scope_id, n, box FROM incident_scope_whose WHERE case_id = $1 ORDER BY made, scope_id, n`
)

package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// sampled is how many values are tried after a destruction.
const sampled = 20

// evidence is what was there just before: it is gathered once, stands in the row with the
// intent, and is the same however often the rest is begun again.
type evidence struct {
	Pseudonym string        `json:"pseudonym"`
	Keys      []keyEvidence `json:"keys"`
	Data      []dataHeld    `json:"data"`
	Sample    []Sealed      `json:"sample"`
}

type keyEvidence struct {
	ID          string   `json:"id"`
	Fingerprint string   `json:"fingerprint"`
	WrappedBy   []string `json:"wrapped_by"`
}

type dataHeld struct {
	Data string `json:"data"`
	Rows int64  `json:"rows"`
}

func (e evidence) ids() []string {
	out := []string{}
	for _, k := range e.Keys {
		out = append(out, k.ID)
	}
	return out
}

// gather looks at everything that is sealed under a subject's keys.
func (s *Service) gather(ctx context.Context, sub keyring.Subject) (evidence, error) {
	out := evidence{Pseudonym: s.Ring.Pseudonym(sub), Keys: []keyEvidence{}, Data: []dataHeld{}, Sample: []Sealed{}}
	prints, err := s.Ring.Fingerprints(ctx, sub)
	if err != nil {
		return out, err
	}
	for _, id := range slices.Sorted(maps.Keys(prints)) {
		by, err := s.Ring.Wrapping(ctx, id)
		if err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, keyEvidence{id, prints[id], by})
	}
	for _, h := range append([]Holder{s.ownHeld}, s.Holders...) {
		found, err := h(ctx, sub, sampled)
		if err != nil {
			return out, fmt.Errorf("count what is sealed: %w", err)
		}
		if found.Rows == 0 {
			continue
		}
		out.Data = append(out.Data, dataHeld{found.Data, found.Rows})
		for _, v := range found.Sample {
			if id, err := envelope.KeyID(v.Box); err == nil && prints[id] != "" && len(out.Sample) < sampled {
				out.Sample = append(out.Sample, v)
			}
		}
	}
	return out, nil
}

// ownHeld is what the parameter store has of a team.
func (s *Service) ownHeld(ctx context.Context, sub keyring.Subject, most int) (Held, error) {
	out := Held{Data: "values of parameters"}
	if sub.Kind != "vault" {
		return out, nil
	}
	if err := ledger.One(ctx, s.DB, countValues, []any{&out.Rows}, sub.ID); err != nil {
		return out, err
	}
	err := s.DB.Each(ctx, sampleValues, func(scan ledger.Scan) error {
		v := Sealed{Place: envelope.AAD{Table: "vault_version", Column: "value", Team: sub.ID}}
		err := scan(&v.Place.Row, &v.Place.Version, &v.Box)
		out.Sample = append(out.Sample, v)
		return err
	}, sub.ID, int64(most))
	return out, err
}

// carry takes a destruction from its intent to its certificate. Each step may be done
// again; a process that dies in between goes on at the next start.
func (s *Service) carry(ctx context.Context, id string) error { // clause: data.crypto-erase
	s.carrying.Lock()
	defer s.carrying.Unlock()
	x, err := s.shred(ctx, id)
	if err != nil {
		return err
	}
	if x.State != stIntended {
		return nil // another node did it
	}
	var e evidence
	if err := json.Unmarshal([]byte(x.evidence), &e); err != nil {
		return fmt.Errorf("read what was there: %w", err)
	}
	if err := s.at("intended"); err != nil {
		return err
	}
	if x.Kind == "person" {
		if err := s.People.Shred(ctx, actor.System("vault-shred"), x.subject.ID); err != nil {
			return fmt.Errorf("erase a person: %w", err)
		}
		if err := s.at("rows deleted"); err != nil {
			return err
		}
	}
	d, err := s.Ring.Erase(ctx, x.subject)
	if err != nil {
		return fmt.Errorf("destroy keys: %w", err)
	}
	if err := s.at("destroyed"); err != nil {
		return err
	}
	if err := s.shut(ctx, e, d); err != nil {
		return err
	}
	if err := s.at("verified"); err != nil {
		return err
	}
	return s.certify(ctx, x, e, d)
}

// shut wants every key gone and no sampled value to open.
func (s *Service) shut(ctx context.Context, e evidence, d keyring.Destroyed) error {
	for _, id := range slices.Concat(e.ids(), d.KeyIDs) {
		if gone, err := s.Ring.Gone(ctx, id); err != nil || !gone {
			return errors.Join(err, opened("a key answers"))
		}
	}
	for _, v := range e.Sample {
		b, err := s.open(ctx, v)
		if err == nil {
			b.Wipe()
			return opened("a value opens")
		}
		if !errors.Is(err, fault.Gone) {
			return fmt.Errorf("try a sampled value: %w", err)
		}
	}
	return nil
}

func opened(what string) error {
	return fault.New(fault.Internal, "shred_unverified", fault.Public{Problem: "After the destruction " + what + ".", Expected: "Nothing opens any more.", Next: "Tell the operator. There is no certificate; it is tried again every five minutes."})
}

// certify records the certificate; the row forgets whose key it was.
func (s *Service) certify(ctx context.Context, x Shred, e evidence, d keyring.Destroyed) error {
	people, err := s.agreed(ctx, x)
	if err != nil {
		return err
	}
	backups, err := s.copies()
	if err != nil {
		return err
	}
	text, err := certificate(x, people, e, d, backups)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	ev := ShredCertified{Shred: x.ID, Kind: x.Kind, Pseudonym: d.Pseudonym, Keys: d.KeyIDs, Sampled: int64(len(e.Sample)), Destroyed: d.At, Sum: hex.EncodeToString(sum[:])}
	for _, h := range e.Data {
		ev.Rows += h.Rows
	}
	_, err = s.DB.Change(ctx, actor.System("vault-shred"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, finishShred, x.ID, us(tx.Now()), string(text), tx.Entry())
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errDone
		}
		return ev, rememberOne(ctx, tx, keyring.Tombstone{Mark: d.Pseudonym, Kind: x.Kind, KeyIDs: d.KeyIDs, At: d.At})
	})
	if errors.Is(err, errDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record a certificate: %w", err)
	}
	return s.at("certified")
}

var errDone = fault.New(fault.Conflict, "shred_done", fault.Public{Problem: "Another node has certified it."})

// agreed lists who wanted a destruction, but for who asked, sorted.
func (s *Service) agreed(ctx context.Context, x Shred) ([]string, error) {
	var out []string
	err := s.DB.Each(ctx, `SELECT person FROM vault_shred_agreed WHERE shred = $1 ORDER BY person`, func(scan ledger.Scan) error {
		var p string
		err := scan(&p)
		if p = "person/" + p; p != x.AskedBy {
			out = append(out, p)
		}
		return err
	}, x.ID)
	if err != nil {
		return nil, fmt.Errorf("read who agreed: %w", err)
	}
	return out, nil
}

// Resume goes on with destructions that were begun, and closes requests that waited too long.
func (s *Service) Resume(ctx context.Context) error {
	xs, err := s.shreds(ctx, `WHERE x.state = 'intended' ORDER BY x.asked`)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range xs {
		errs = append(errs, s.carry(ctx, x.ID))
	}
	old, err := s.shreds(ctx, `WHERE x.state = 'asked' AND x.asked <= $1`, us(s.Now().Add(-askLife)))
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, x := range old {
		_, err := s.DB.Change(ctx, actor.System("vault-shred"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, closeShred+` AND state = 'asked'`, x.ID, stLapsed, us(tx.Now()))
			if err == nil && n == 0 {
				err = errDone
			}
			return ShredClosed{Shred: x.ID, State: stLapsed}, err
		})
		if err != nil && !errors.Is(err, errDone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// idList is how ids stand in a column.
func idList(ids []string) string { return strings.Join(ids, " ") }

// rfc is how a certificate writes a time.
func rfc(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

const (
	finishShred = `UPDATE vault_shred SET state = 'done', subject = '', changed = $2, evidence = '', certificate = $3, entry = $4 WHERE id = $1 AND state = 'intended'`
	countValues = `SELECT COUNT(*) FROM vault_version v JOIN vault_param p ON p.id = v.param WHERE p.team = $1`
	// By parameter and version: ids begin with the time, so the sample is of the oldest and the newest.
	sampleValues = `SELECT param, version, value FROM (SELECT v.param, v.version, v.value FROM vault_version v JOIN vault_param p ON p.id = v.param WHERE p.team = $1 ORDER BY v.param DESC, v.version DESC LIMIT $2) AS newest`
)

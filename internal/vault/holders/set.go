package holders

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/seal"
	"writ/internal/secret"
)

// Set is the root key split, as it may be told.
type Set struct {
	ID      string
	Root    string
	Need    int
	Of      int
	Began   time.Time
	Drilled time.Time // when its shares last made the root; zero = never
}

// State is how the holding of the root key stands.
type State struct {
	Set      *Set // nil = no shares are out
	Holders  []Holder
	Due      []string // why new shares are to be made; none = they are not
	NextTry  time.Time
	Alone    bool
	Weakness string
	RootFile bool // root.key lies in the folder
	Drilling *seal.State
	Demo     bool
}

// Stands tells it, for who may read rights.
func (s *Service) Stands(ctx context.Context, who actor.Actor) (State, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, ""); err != nil {
		return State{}, err
	}
	return s.state(ctx)
}

func (s *Service) state(ctx context.Context) (State, error) {
	out := State{Alone: s.Alone, Weakness: s.Weakness, Demo: s.Demo}
	var err error
	if out.Holders, err = s.holders(ctx, s.DB, staffTeam); err != nil {
		return State{}, err
	}
	file, err := s.rootFile()
	if err != nil {
		return State{}, err
	}
	out.RootFile = file != ""
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return State{}, err
	}
	if found {
		if out.Due, err = s.due(ctx, x, out.Holders, file); err != nil {
			return State{}, err
		}
		out.Set, out.NextTry = &x, x.Began.Add(drillEvery)
		if !x.Drilled.IsZero() {
			out.NextTry = x.Drilled.Add(drillEvery)
		}
	}
	for i := range out.Holders {
		h := &out.Holders[i]
		h.Name = s.People.Name(ctx, h.Person)
		if h.State == enrolled {
			k, err := h.keyOf()
			if err != nil {
				return State{}, err
			}
			h.Kind = k.Kind
		}
	}
	if g := s.drilling(); g != nil {
		if d, err := g.State(ctx); err == nil {
			out.Drilling = &d
		}
	}
	return out, nil
}

// liveSet is the one in use by the record, which must be the one in boot.json.
func (s *Service) liveSet(ctx context.Context) (Set, bool, error) {
	var x Set
	var began int64
	var drilled *int64
	err := ledger.One(ctx, s.DB, selectLive, []any{&x.ID, &x.Root, &x.Need, &x.Of, &began, &drilled})
	if errors.Is(err, fault.NotFound) {
		return Set{}, false, nil
	}
	if err != nil {
		return Set{}, false, fmt.Errorf("read the set in use: %w", err)
	}
	x.Began, x.Drilled = at(began), when(drilled)
	return x, true, nil
}

// due says why the shares are to be made anew, and marks who holds one.
func (s *Service) due(ctx context.Context, x Set, hs []Holder, file string) (out []string, err error) {
	hold := map[string]bool{}
	err = s.DB.Each(ctx, sharesOf, func(scan ledger.Scan) error {
		var key, holder string
		err := scan(&key, &holder)
		hold[holder+" "+key] = true
		return err
	}, x.ID)
	if err != nil {
		return nil, fmt.Errorf("read shares: %w", err)
	}
	shares, in, newer := len(hold), 0, 0
	for i := range hs {
		h := &hs[i]
		if h.Holds = hold[h.ID+" "+h.keyID] && h.State == enrolled; h.Holds {
			in++
		} else if h.State == enrolled {
			newer++
		}
	}
	r := s.Rules.Get()
	if in < shares {
		out = append(out, "a holder has left, was removed or has another key")
	}
	if newer > 0 {
		out = append(out, "a holder has joined")
	}
	if x.Need < r.QuorumNeed || x.Of < r.QuorumOf {
		out = append(out, "the policy asks for more")
	}
	if s.Alone && file == x.Root {
		out = append(out, "the root key also lies in root.key")
	}
	b, err := s.File.Read()
	if err != nil {
		return nil, err
	}
	if b.Set == nil || b.Set.ID != x.ID {
		out = append(out, seal.Name+" holds another set than the record")
	}
	return out, nil
}

// rootFile is the fingerprint of what lies in root.key; "" where there is none.
func (s *Service) rootFile() (string, error) {
	text, err := os.ReadFile(s.RootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at root.key: %w", err)
	}
	defer clear(text)
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return "no root key", nil
	}
	b := secret.NewBytes(raw)
	clear(raw)
	defer b.Wipe()
	return s.Fingerprint(b), nil
}

// Reshare makes new shares for those who are enrolled; with that the old ones are void.
func (s *Service) Reshare(ctx context.Context, who actor.Actor) (Set, error) {
	if err := s.Access.Allow(ctx, who, access.VaultHolders, ""); err != nil {
		return Set{}, err
	}
	return s.reshare(ctx, who)
}

func (s *Service) reshare(ctx context.Context, who actor.Actor) (Set, error) { // clause: people.no-sole-holder
	s.resharing.Lock()
	defer s.resharing.Unlock()
	hs, err := s.holders(ctx, s.DB, staffTeam)
	if err != nil {
		return Set{}, err
	}
	hs = enrolledOnes(hs)
	need := s.Rules.Get().QuorumNeed
	if len(hs) <= need {
		return Set{}, fault.New(fault.Conflict, "too_few_holders", fault.Public{Problem: fmt.Sprintf("%d holders have a key, and %d are needed to open the vault.", len(hs), need),
			Expected: "One more than are needed, so that one may be away.", Next: "Appoint holders and let them enrol."})
	}
	keys := make([]seal.Key, len(hs))
	for i, h := range hs {
		if keys[i], err = h.keyOf(); err != nil {
			return Set{}, err
		}
	}
	root, err := s.rootToSplit(ctx)
	if err != nil {
		return Set{}, err
	}
	defer root.Wipe()
	set, err := seal.Split(root, s.Fingerprint(root), need, keys)
	if err != nil {
		return Set{}, err
	}
	if err := s.prepare(ctx, who, set, hs); err != nil {
		return Set{}, err
	}
	return s.begin(ctx, who, set, root)
}

// rootToSplit is a new root where shares alone open the vault, and else the one there is.
func (s *Service) rootToSplit(ctx context.Context) (secret.Bytes, error) {
	if s.Alone {
		return secret.Random(32), nil
	}
	return s.Root(ctx)
}

// prepare records what is about to be done: the file that is written next is no database.
func (s *Service) prepare(ctx context.Context, who actor.Actor, set seal.Set, hs []Holder) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, insertSet, set.ID, set.Root, int64(set.Need), int64(len(set.Shares)), us(tx.Now())); err != nil {
			return nil, err
		}
		ev := SetPrepared{Set: set.ID, Need: int64(set.Need), Of: int64(len(set.Shares)), Rekey: s.Alone}
		for i, h := range hs {
			if _, err := tx.Exec(ctx, insertShare, set.ID, set.Shares[i].ID, h.ID); err != nil {
				return nil, err
			}
			ev.Holders = append(ev.Holders, h.Person)
		}
		return ev, nil
	})
	if err != nil {
		return fmt.Errorf("prepare shares: %w", err)
	}
	return s.at("prepared")
}

// begin puts a prepared set in use: boot.json is the moment from which it counts.
func (s *Service) begin(ctx context.Context, who actor.Actor, set seal.Set, root secret.Bytes) (Set, error) {
	if s.Alone {
		if err := s.Ring.AddRoot(ctx, root); err != nil {
			return Set{}, err
		}
		if err := s.at("root added"); err != nil {
			return Set{}, err
		}
	}
	if err := s.Ring.Opens(ctx, root); err != nil { // shares of what opens nothing would lose everything
		return Set{}, err
	}
	if err := s.File.Change(func(b *seal.Boot) error { b.Set, b.Tries = &set, nil; return nil }); err != nil {
		return Set{}, err
	}
	if err := s.at("written"); err != nil {
		return Set{}, err
	}
	file, err := s.rootFile()
	if err != nil {
		return Set{}, err
	}
	if s.Alone && file == "" { // with a root.key there the old root goes when the shares were tried
		if err := s.Ring.KeepRoot(ctx, root); err != nil {
			return Set{}, err
		}
		if err := s.at("root kept"); err != nil {
			return Set{}, err
		}
	}
	s.stopDrill()
	return s.finish(ctx, who, set.ID)
}

// finish records that a set is in use.
func (s *Service) finish(ctx context.Context, who actor.Actor, id string) (Set, error) {
	letters, err := s.begunLetters(ctx)
	if err != nil {
		return Set{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ev := SetBegun{Set: id}
		if err := ledger.One(ctx, tx, selectLiveID, []any{&ev.Former}); err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		if _, err := tx.Exec(ctx, endLive, us(tx.Now())); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, beginSet, id, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "set_ended", "The set was put in use already.")
		}
		return ev, errors.Join(err, s.enqueue(ctx, tx, letters))
	})
	if err != nil {
		return Set{}, fmt.Errorf("put shares in use: %w", err)
	}
	x, _, err := s.liveSet(ctx)
	return x, err
}

// Resume tells the journal what happened while it was closed, and finishes or abandons a
// set that a process died over. opened is the root where shares gave it.
func (s *Service) Resume(ctx context.Context, opened secret.Bytes) error {
	b, err := s.File.Read()
	if err != nil {
		return err
	}
	tried := ""           // the set whose shares have just made the root
	if !opened.IsZero() { // then no other root is needed any more
		if err := s.Ring.KeepRoot(ctx, opened); err != nil {
			return err
		}
		if b.Set != nil && s.Fingerprint(opened) == b.Set.Root {
			tried = b.Set.ID
		}
	}
	var ids []string
	err = s.DB.Each(ctx, selectPrepared, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("read prepared sets: %w", err)
	}
	who := actor.System("vault-holders")
	for _, id := range ids {
		if b.Set != nil && b.Set.ID == id {
			_, err = s.finish(ctx, who, id)
		} else {
			_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
				_, err := tx.Exec(ctx, abandonSet, id, us(tx.Now()))
				return SetAbandoned{Set: id}, err
			})
		}
		if err != nil {
			return fmt.Errorf("finish with a set: %w", err)
		}
	}
	return s.tell(ctx, tried)
}

// DropFile removes root.key once it opens nothing any more.
func (s *Service) DropFile(ctx context.Context, who actor.Actor) error {
	if err := s.Access.Allow(ctx, who, access.VaultHolders, ""); err != nil {
		return err
	}
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return err
	}
	file, err := s.rootFile()
	if err != nil {
		return err
	}
	not := func(problem, next string) error {
		return s.DB.Refuse(ctx, who, FileKept{}, fault.New(fault.Conflict, "root_needed", fault.Public{Problem: problem, Expected: "Shares alone open the vault, of a root of their own, and they were tried.", Next: next}))
	}
	switch {
	case file == "":
		return fault.Newf(fault.NotFound, "no_file", "There is no root.key in the folder.")
	case !s.Alone:
		return not("The server opens by itself with a root key, as its settings say.", "Set vault.unseal.kind to shares in writ.yaml, start again, and let the holders open it.")
	case !found || file == x.Root:
		return not("The shares are of the root key in this file.", "Make new ones: writ vault holders reshare")
	case x.Drilled.IsZero():
		return not("The new shares were not tried yet.", "Try them: writ vault holders drill")
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return FileDropped{Set: x.ID}, nil })
	if err != nil {
		return fmt.Errorf("drop root.key: %w", err)
	}
	return os.Remove(s.RootFile)
}

// Put seals the vault: the keys leave the memory and holders open it again.
func (s *Service) Put(ctx context.Context, who actor.Actor, reason string) error { // clause: people.no-sole-holder
	if err := s.Access.Allow(ctx, who, access.VaultSeal, ""); err != nil {
		return err
	}
	if n := len([]rune(reason)); n < 5 || n > 300 {
		return fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "The reason is missing, too short or too long.", Expected: "5 to 300 characters.", Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say why, in 5 to 300 characters."}}})
	}
	if s.Shared {
		return s.DB.Refuse(ctx, who, SealRefused{}, fault.New(fault.Conflict, "keys_shared", fault.Public{Problem: "Other servers may use the same keys, and would go on: this one cannot seal the vault.",
			Expected: "Keys in this server's own folder, without keys.url in writ.yaml.", Next: "Stop every server to put the keys away."}))
	}
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return err
	}
	b, err := s.File.Read()
	if err != nil {
		return err
	}
	if !found || b.Set == nil || b.Set.ID != x.ID {
		return s.DB.Refuse(ctx, who, SealRefused{}, fault.New(fault.Conflict, "no_shares", fault.Public{Problem: "No shares are out: nobody could open the vault again.", Next: "Appoint holders first: writ vault holders appoint"}))
	}
	letters, err := s.sealedLetters(ctx, who, reason)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return SealAsked{Set: x.ID, reason: reason}, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return fmt.Errorf("seal the vault: %w", err)
	}
	return s.Seal()
}

const (
	selectLive     = `SELECT id, root, need, total, began, drilled FROM vault_holder_set WHERE state = 'live'`
	selectLiveID   = `SELECT id FROM vault_holder_set WHERE state = 'live'`
	selectPrepared = `SELECT id FROM vault_holder_set WHERE state = 'prepared' ORDER BY made`
	sharesOf       = `SELECT key_id, holder FROM vault_holder_share WHERE set_id = $1`
	insertSet      = `INSERT INTO vault_holder_set (id, root, need, total, state, made, began, drilled, ended) VALUES ($1, $2, $3, $4, 'prepared', $5, NULL, NULL, NULL)`
	insertShare    = `INSERT INTO vault_holder_share (set_id, key_id, holder) VALUES ($1, $2, $3)`
	endLive        = `UPDATE vault_holder_set SET state = 'ended', ended = $1 WHERE state = 'live'`
	beginSet       = `UPDATE vault_holder_set SET state = 'live', began = $2 WHERE id = $1 AND state = 'prepared'`
	abandonSet     = `UPDATE vault_holder_set SET state = 'ended', ended = $2 WHERE id = $1 AND state = 'prepared'`
)

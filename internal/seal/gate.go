package seal

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// How long things live and how often they may be tried, whatever the policy says.
const (
	gathering  = 15 * time.Minute // from the first share to the last
	tryWindow  = 10 * time.Minute
	tryMost    = 5
	provedLife = 2 * time.Minute // from a passkey's proof to its share
)

// The acts for which shares are gathered.
const (
	Open  = "open"  // the vault
	Drill = "drill" // the same, which ends by telling that the shares fit
)

// Operation is what holders agree to by giving their shares. A passkey signs its sum.
type Operation struct {
	V   int    `json:"v"`
	Act string `json:"act"`
	Set string `json:"set"`
	Key []byte `json:"key"` // of this gathering: shares are sealed to it, and it dies with it
}

// hash is what a passkey signs.
func (o Operation) hash() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // texts and bytes
	}
	h := sha256.Sum256(append([]byte("writ/seal/operation/1\x00"), b...))
	return h[:]
}

// Sum is the hash of the operation as text.
func (o Operation) Sum() string { return hex.EncodeToString(o.hash()) }

// Short is how people compare it.
func (o Operation) Short() string {
	s := strings.ToUpper(o.Sum()[:8])
	return s[:4] + "-" + s[4:]
}

// State is how far a gathering has come. It names nobody.
type State struct {
	Phase string // new, sealed, unsealing, open
	Operation
	Given, Need, Of int
	Until           time.Time // when what was given is dropped; zero while nothing is
}

// Left is how many are still wanted.
func (s State) Left() int { return max(0, s.Need-s.Given) }

// The phases.
const (
	New       = "new"
	Sealed    = "sealed"
	Unsealing = "unsealing"
	Opened    = "open"
)

// Passkeys judges proofs; package identity/passkey does, through app.
type Passkeys interface {
	// Ask makes the question to these passkeys, for a browser.
	Ask(challenge []byte, of []Passkey) (json.RawMessage, error)
	// Judge says which of them answered the challenge, and its record as it is now.
	Judge(challenge []byte, of []Passkey, answer []byte) (int, json.RawMessage, error)
}

// Deps are what a Gate is made of. Passkeys may be nil: then only key files open.
type Deps struct {
	File        *File
	Act         string // Open or Drill
	Now         func() time.Time
	Passkeys    Passkeys
	Fingerprint func(secret.Bytes) string // of a root key
	// Note keeps a line: in boot.json while nothing else is open, in the journal after.
	Note func(context.Context, Line) error
	// Whole is given the root once the shares have made it. It may take it and must not
	// keep it: it is wiped when Whole returns. An error refuses the last share.
	Whole func(ctx context.Context, set string, root secret.Bytes) error
}

// Gate gathers shares. It is safe for concurrent use.
type Gate struct {
	Deps
	mu     sync.Mutex
	half   hpke.PrivateKey
	op     Operation
	given  map[string]secret.Bytes
	proved map[string]time.Time
	until  time.Time
	done   bool
}

// NewGate makes a Gate.
func NewGate(d Deps) (*Gate, error) {
	if d.File == nil || d.Act != Open && d.Act != Drill || d.Now == nil || d.Fingerprint == nil || d.Note == nil || d.Whole == nil {
		return nil, errors.New("seal: a dependency is missing")
	}
	return &Gate{Deps: d, given: map[string]secret.Bytes{}, proved: map[string]time.Time{}}, nil
}

// begin makes the key of a gathering, drops what is too old or of a set that is over, and
// gives the set. The lock is held.
func (g *Gate) begin(ctx context.Context) (Set, error) {
	b, err := g.File.Read()
	if err != nil {
		return Set{}, err
	}
	if b.Set == nil {
		return Set{}, fault.New(fault.NotFound, "no_shares", fault.Public{Problem: "No shares of the root key are out.", Next: "Appoint holders while the server is open: writ vault holders appoint."})
	}
	late := len(g.given) > 0 && !g.Now().Before(g.until)
	if late && !g.done {
		if err := g.Note(ctx, Line{What: WasDropped, Set: g.op.Set, Given: len(g.given), Need: b.Set.Need}); err != nil {
			return Set{}, err
		}
	}
	if late || g.half == nil || g.op.Set != b.Set.ID {
		g.drop()
		if g.half, err = kem().GenerateKey(); err != nil {
			return Set{}, fmt.Errorf("make a key for shares: %w", err)
		}
		g.op = Operation{V: 1, Act: g.Act, Set: b.Set.ID, Key: g.half.PublicKey().Bytes()}
	}
	return *b.Set, nil
}

// drop forgets all that was given.
func (g *Gate) drop() {
	for _, b := range g.given {
		b.Wipe()
	}
	clear(g.given)
	clear(g.proved)
	g.until, g.done, g.half = time.Time{}, false, nil
}

// Close forgets all that was given.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop()
}

// State is how far it has come: fault.NotFound where no shares are out.
func (g *Gate) State(ctx context.Context) (State, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil {
		return State{Phase: New}, err
	}
	return g.state(set), nil
}

func (g *Gate) state(set Set) State {
	s := State{Phase: Sealed, Operation: g.op, Given: len(g.given), Need: set.Need, Of: len(set.Shares), Until: g.until}
	switch {
	case g.done:
		s.Phase = Opened
	case s.Given > 0:
		s.Phase = Unsealing
	}
	return s
}

// Question is what a browser asks the passkeys of the holders: fault.NotFound where there
// are none.
func (g *Gate) Question(ctx context.Context) (json.RawMessage, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil {
		return nil, err
	}
	_, of := set.passkeys()
	if g.Passkeys == nil || len(of) == 0 {
		return nil, fault.New(fault.NotFound, "no_passkeys", fault.Public{Problem: "No holder uses a passkey.", Next: "Give a share with a key file: writ vault unseal --holder FILE"})
	}
	return g.Passkeys.Ask(g.op.hash(), of)
}

func (s Set) passkeys() (ids []string, of []Passkey) {
	for _, x := range s.Shares {
		if x.Passkey != nil {
			ids, of = append(ids, x.ID), append(of, *x.Passkey)
		}
	}
	return ids, of
}

// Prove takes a passkey's answer to Question. What it returns lets the holder's browser
// open the share; the share must come shortly after.
func (g *Gate) Prove(ctx context.Context, answer []byte) (Share, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil {
		return Share{}, err
	}
	ids, of := set.passkeys()
	if g.Passkeys == nil || len(of) == 0 {
		return Share{}, g.refuse(ctx, set, "", "proof", denied("No holder uses a passkey."))
	}
	i, record, err := g.Passkeys.Judge(g.op.hash(), of, answer)
	if err != nil {
		return Share{}, g.refuse(ctx, set, "", "proof", fault.New(fault.Denied, "proof_refused", fault.Public{Problem: "This passkey was not taken.",
			Expected: "The passkey of a holder, for the operation " + g.op.Short() + ".", Next: "Load the page again and use the passkey that you enrolled as a holder."}))
	}
	err = g.File.Change(func(b *Boot) error { // its counter has moved
		if b.Set != nil && b.Set.ID == set.ID {
			for j := range b.Set.Shares {
				if b.Set.Shares[j].ID == ids[i] {
					p := *b.Set.Shares[j].Passkey
					p.Record = record
					b.Set.Shares[j].Passkey = &p
				}
			}
		}
		return nil
	})
	if err != nil {
		return Share{}, err
	}
	g.proved[ids[i]] = g.Now().Add(provedLife)
	x, _ := set.share(ids[i])
	return x, nil
}

// Box is the sealed share of a holder whose key is in a file: fault.NotFound for others.
func (g *Gate) Box(ctx context.Context, holder string) (Share, State, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil {
		return Share{}, State{}, err
	}
	x, ok := set.share(holder)
	if !ok || x.Kind != InFile {
		return Share{}, State{}, fault.New(fault.NotFound, "no_holder", fault.Public{Problem: "No share of the set in use is sealed to this key.", Expected: "The key that was enrolled, of a holder of the set.",
			Next: "Look for another key file; ask an owner whether the shares were made anew."})
	}
	return x, g.state(set), nil
}

// Offer is a share on its way in, sealed to the key of the operation.
type Offer struct {
	Set    string
	Holder string
	Box    []byte
}

// Give takes one. Errors: fault.Gone (set_over), fault.Denied (share_refused,
// proof_missing), fault.Conflict (share_twice), fault.Limited (too_many_shares).
func (g *Gate) Give(ctx context.Context, in Offer) (State, error) { // clause: people.no-sole-holder
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil {
		return State{}, err
	}
	if in.Set != set.ID {
		return State{}, g.refuse(ctx, set, "", "set", fault.New(fault.Gone, "set_over", fault.Public{Problem: "This share is of a set that is not in use.", Expected: "A share of the set in use.", Next: "Load the page again; ask an owner whether the shares were made anew."}))
	}
	x, ok := set.share(in.Holder)
	if !ok {
		return State{}, g.refuse(ctx, set, "", "holder", denied("Nobody with this key holds a share."))
	}
	if _, twice := g.given[x.ID]; twice {
		return State{}, g.refuse(ctx, set, x.ID, "twice", fault.New(fault.Conflict, "share_twice", fault.Public{Problem: "You have given your share already. One holder counts once.", Expected: "The share of another holder.", Next: "Wait for another holder."}))
	}
	if x.Passkey != nil && !g.Now().Before(g.proved[x.ID]) {
		return State{}, g.refuse(ctx, set, x.ID, "proof", fault.New(fault.Denied, "proof_missing", fault.Public{Problem: "The passkey's own answer is missing or too old.", Next: "Press the button again."}))
	}
	share, err := g.opened(in)
	if err != nil || !secret.NewText(print256(share)).Equal(secret.NewText(x.Print)) {
		return State{}, g.refuse(ctx, set, x.ID, "share", denied("This is not the share of this holder."))
	}
	return g.add(ctx, set, x.ID, share)
}

func (g *Gate) opened(in Offer) (secret.Bytes, error) {
	b, err := hpke.Open(g.half, kdf(), aead(), offerInfo(g.op.Sum(), in.Holder), in.Box)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer clear(b)
	return secret.NewBytes(b), nil
}

// add counts a right share; the last one makes the root.
func (g *Gate) add(ctx context.Context, set Set, holder string, share secret.Bytes) (State, error) {
	line := Line{What: WasGiven, Set: set.ID, Holder: holder, Given: len(g.given) + 1, Need: set.Need}
	if line.Given > set.Need { // done, and the server is on its way
		share.Wipe()
		return g.state(set), nil
	}
	if err := g.Note(ctx, line); err != nil {
		return State{}, err
	}
	g.given[holder] = share
	if len(g.given) == 1 {
		g.until = g.Now().Add(gathering)
	}
	if len(g.given) < set.Need {
		return g.state(set), nil
	}
	if err := g.whole(ctx, set); err != nil {
		g.drop()
		return State{}, err
	}
	g.done = true
	s := g.state(set)
	for _, b := range g.given {
		b.Wipe()
	}
	return s, nil
}

// whole makes the root and holds it against its fingerprint before anything is done with
// it: shares tell nothing of whether they fit.
func (g *Gate) whole(ctx context.Context, set Set) error { // clause: people.no-sole-holder
	parts := make([]secret.Bytes, 0, len(g.given))
	for _, b := range g.given {
		parts = append(parts, b)
	}
	root, err := shamir.Combine(parts...)
	if err != nil {
		return g.refuse(ctx, set, "", "combine", denied("The shares do not fit together."))
	}
	defer root.Wipe()
	if !secret.NewText(g.Fingerprint(root)).Equal(secret.NewText(set.Root)) {
		return g.refuse(ctx, set, "", "combine", denied("The shares do not fit together."))
	}
	return g.Whole(ctx, set.ID, root)
}

func denied(problem string) error {
	return fault.New(fault.Denied, "share_refused", fault.Public{Problem: problem, Expected: "The share of a holder of the set in use, sealed for this gathering.", Next: "Load the page again, or run the command again."})
}

// refuse counts and notes what counted for nothing. Beyond the limit nothing is written any
// more and the answer is to wait; a right share is still taken, so a full counter keeps no
// holder out.
func (g *Gate) refuse(ctx context.Context, set Set, holder, cause string, reason error) error {
	now := g.Now()
	err := g.File.Change(func(b *Boot) error {
		for id, t := range b.Tries { // of holders who are no more, and of a former window
			if _, ok := set.share(id); id != "" && !ok || now.Sub(time.UnixMicro(t.From)) >= tryWindow {
				delete(b.Tries, id)
			}
		}
		if b.Tries == nil {
			b.Tries = map[string]Try{}
		}
		t, ok := b.Tries[holder]
		if !ok {
			t.From = now.UnixMicro()
		}
		if t.N >= tryMost {
			return errTries
		}
		t.N++
		b.Tries[holder] = t
		return nil
	})
	if err != nil {
		return err
	}
	if err := g.Note(ctx, Line{What: WasRefused, Set: set.ID, Holder: holder, Cause: cause, Given: len(g.given), Need: set.Need}); err != nil {
		return err
	}
	return reason
}

var errTries = &fault.Error{Kind: fault.Limited, Code: "too_many_shares", RetryAfter: tryWindow, Public: fault.Public{Problem: "Too many wrong shares were given.",
	Expected: fmt.Sprintf("At most %d in ten minutes.", tryMost), Next: "Wait ten minutes, or give the right one."}}

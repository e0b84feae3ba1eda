package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/fault"
	"writ/internal/journal/verify"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// methodName is what a certificate calls this. It speaks of ciphertext, never of media.
const methodName = "Purge — Cryptographic Erase (NIST SP 800-88r2)"

// certificate writes down a destruction, in the one spelling that is hashed. It names
// nobody whose data it was: the pseudonym is what the database of keys keeps.
func certificate(x Shred, approvers []string, e evidence, d keyring.Destroyed, backups map[string]any) ([]byte, error) {
	keys, data := []any{}, []any{}
	for _, k := range e.Keys {
		by := []any{}
		for _, id := range k.WrappedBy {
			by = append(by, id)
		}
		keys = append(keys, map[string]any{"id": k.ID, "fingerprint": k.Fingerprint, "wrapped_by": by})
	}
	for _, h := range e.Data {
		data = append(data, map[string]any{"data": h.Data, "rows": h.Rows})
	}
	people := []any{}
	for _, p := range approvers {
		people = append(people, p)
	}
	looked := "every byte of the file of keys and of the files beside it"
	if d.Store == "postgres" {
		looked = "the rows of the database of keys; its own log keeps older ones until it is recycled"
	}
	copies := []any{
		map[string]any{"where": "database of keys (" + d.Store + ")", "dead": rfc(d.At), "by": "overwritten and deleted"},
		map[string]any{"where": "memory of this server", "dead": rfc(d.At), "by": "dropped; of other nodes within a second"},
	}
	if backups != nil {
		copies = append(copies, backups)
	}
	copies = append(copies, map[string]any{"where": "other copies of the database of keys, if the operator keeps any", "dead": rfc(d.At.Add(horizon)), "by": "declared: none is kept longer; one that is put back before is put right at the start"})
	return canon.Encode(map[string]any{
		"v": 1, "id": x.ID, "subject": map[string]any{"kind": x.Kind, "pseudonym": d.Pseudonym},
		"data": data, "algorithm": "AES-256-GCM; data was sealed before its first write", "keys": keys,
		"copies":       copies,
		"technique":    "cryptographic erase of stored ciphertext: the keys are destroyed, the sealed data stays unreadable",
		"method":       methodName,
		"verification": map[string]any{"searched": looked, "keys_answering": 0, "sampled": len(e.Sample), "opened": 0},
		"operator":     x.AskedBy, "approvers": people, "asked": rfc(x.Asked), "destroyed": rfc(d.At),
	})
}

// Certified is a certificate with what proves it: a file that writ verify checks without
// this server.
type Certified struct {
	Certificate json.RawMessage `json:"certificate,omitempty"` // none where the entry says it all, as of a person who left
	Entry       int64           `json:"entry"`                 // of the journal
	Leaf        string          `json:"leaf"`
	Proof       string          `json:"proof"` // a .tlog-proof file
	Key         string          `json:"key"`   // the journal's; compare it with one got by another way
}

// Certificate gives the certificate of a destruction; fault.Conflict until its entry has a
// number in the journal.
func (s *Service) Certificate(ctx context.Context, who actor.Actor, id string) (Certified, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRead, "shred/"+short(id)); err != nil {
		return Certified{}, err
	}
	var text, entry string
	if err := ledger.One(ctx, s.DB, `SELECT certificate, entry FROM vault_shred WHERE id = $1 AND state = 'done'`, []any{&text, &entry}, id); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			err = fault.Newf(fault.NotFound, "no_certificate", "There is no certificate of this id: nothing was destroyed under it.")
		}
		return Certified{}, err
	}
	p, err := s.Journal.ProofOf(ctx, entry)
	if fault.KindOf(err) == fault.NotFound {
		return Certified{}, fault.New(fault.Conflict, "no_entry_yet", fault.Public{Problem: "The entry of this certificate has no number in the journal yet.", Next: "Try again in a moment."})
	}
	if err != nil {
		return Certified{}, fmt.Errorf("prove a certificate: %w", err)
	}
	return Certified{json.RawMessage(text), p.N, string(p.Leaf), string(p.Proof), p.Key}, nil
}

// Read is what a certificate says.
type Read struct {
	ID     string
	Keys   []string
	Epochs []string  // of backups that hold the keys
	Dead   time.Time // when none of those opens any more
}

// ReadCertificate reads the one spelling of a certificate.
func ReadCertificate(text []byte) (Read, error) {
	v, err := canon.Parse(text, maxCertificate)
	if err != nil {
		return Read{}, fmt.Errorf("read a certificate: %w", err)
	}
	m, _ := v.(map[string]any)
	out := Read{}
	out.ID, _ = m["id"].(string)
	out.Epochs, out.Dead = copiesOf(m)
	list, ok := m["keys"].([]any)
	for _, k := range list {
		k, _ := k.(map[string]any)
		id, _ := k["id"].(string)
		ok = ok && id != ""
		out.Keys = append(out.Keys, id)
	}
	if !ok || out.ID == "" || m["method"] != methodName {
		return Read{}, fault.Newf(fault.Invalid, "certificate_malformed", "This is no certificate of a destroyed key.")
	}
	return out, nil
}

// maxCertificate bounds a certificate in bytes.
const maxCertificate = 1 << 20

// recordedSum is the sum of the certificate that an entry recorded; "" when it is another one.
func recordedSum(leaf []byte) string {
	l, err := verify.ParseLeaf(leaf)
	if err != nil || l.Stream != (ShredCertified{}).About().Name {
		return ""
	}
	sum, _ := l.Field("sum").(string)
	return sum
}

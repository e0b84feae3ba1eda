package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"writ/internal/canon"
	"writ/internal/merkle"
)

// The events that record a destroyed key. The second is a certificate by itself.
const (
	erased       = "vault.erase-certified"
	personErased = "identity.person-erased"
)

// maxCertified bounds a certificate with its proof, in bytes.
const maxCertified = 4 << 20

// certified is the file: a certificate and what proves it.
type certified struct {
	Certificate json.RawMessage `json:"certificate,omitempty"` // none where the entry says it all
	Entry       int64           `json:"entry"`
	Leaf        string          `json:"leaf"`
	Proof       string          `json:"proof"`
	Key         string          `json:"key"`
}

// Certificate examines the certificate of a destroyed key: that it is, to the letter, the
// one whose sum the journal recorded when the keys were gone. It never fails: what goes
// wrong is in the report.
func Certificate(b []byte, opt Options) Report {
	r := Report{Complete: "certificate", Steps: []string{}, Problems: []Problem{}}
	c, text, body, err := readCertified(b)
	if err != nil {
		r.Code, r.Problems = Unreadable, append(r.Problems, Problem{"certificate", err.Error()})
		return r
	}
	wrong := func(what string, err error) {
		if err != nil {
			r.Code, r.Problems = False, append(r.Problems, Problem{what, err.Error()})
		}
	}
	leaf, err := ParseLeaf([]byte(c.Leaf))
	wrong("entry", err)
	switch {
	case err == nil && body == nil:
		wrong("entry", endOfPerson(leaf))
	case err == nil:
		wrong("certificate", recorded(leaf, text, body))
	}
	head, err := r.prove(c, opt.Keys)
	wrong("proof", err)
	if err == nil && leaf.N != c.Entry {
		wrong("entry", fmt.Errorf("the entry is number %d, and the file says %d", leaf.N, c.Entry))
	}
	if r.Code != True {
		return r
	}
	r.Leaves, r.Origin, r.Size, r.Root = 1, head.Origin, head.Size, base64.StdEncoding.EncodeToString(head.Root[:])
	says := erasureOf(leaf, body)
	r.Erasure = &says
	first := fmt.Sprintf("the certificate %s of %d destroyed keys is the one that entry %d recorded, to the letter", says.ID, len(says.Keys), leaf.N)
	if body == nil {
		first = fmt.Sprintf("entry %d says that %d keys of a person are destroyed", leaf.N, len(says.Keys))
	}
	r.Steps = append(r.Steps, first,
		fmt.Sprintf("entry %d stands in the journal of %d entries, whose checkpoint is signed", leaf.N, head.Size))
	return r
}

// readCertified reads the file and the certificate in its one spelling; white space
// between, which viewers add, does not matter.
func readCertified(b []byte) (c certified, text []byte, body map[string]any, err error) {
	if len(b) > maxCertified {
		return c, nil, nil, errors.New("the file is too large for a certificate")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, nil, nil, errors.New("this is no certificate of a destroyed key")
	}
	if _, err := d.Token(); err != io.EOF {
		return c, nil, nil, errors.New("something stands after the certificate")
	}
	if len(c.Certificate) == 0 && c.Leaf != "" {
		return c, nil, nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, c.Certificate); err != nil {
		return c, nil, nil, errors.New("this is no certificate of a destroyed key")
	}
	v, err := canon.Parse(compact.Bytes(), maxCertified)
	if err != nil {
		return c, nil, nil, fmt.Errorf("the certificate is not in its one spelling: %w", err)
	}
	body, _ = v.(map[string]any)
	if id, _ := body["id"].(string); id == "" {
		return c, nil, nil, errors.New("this is no certificate of a destroyed key")
	}
	return c, compact.Bytes(), body, nil
}

// recorded wants the entry to be about this certificate.
func recorded(leaf Leaf, text []byte, body map[string]any) error {
	sum := sha256.Sum256(text)
	subject, _ := body["subject"].(map[string]any)
	id, _ := body["id"].(string)
	pseudonym, _ := subject["pseudonym"].(string)
	switch {
	case leaf.Stream != erased:
		return fmt.Errorf("the entry is about something else (%s)", leaf.Stream)
	case leaf.Field("sum") != hex.EncodeToString(sum[:]):
		return errors.New("it is not the one that was recorded: something in it was altered")
	case pseudonym == "" || leaf.Field("shred") != any(id) || leaf.Field("pseudonym") != any(pseudonym):
		return errors.New("the entry is about another destruction")
	}
	return nil
}

// endOfPerson wants the entry to say that a person's key is destroyed.
func endOfPerson(leaf Leaf) error {
	pseudonym, _ := leaf.Field("pseudonym").(string)
	keys, _ := leaf.Field("keys").([]any)
	if leaf.Stream != personErased || pseudonym == "" || len(keys) == 0 {
		return fmt.Errorf("the entry says of no key that it is destroyed (%s)", leaf.Stream)
	}
	return nil
}

// Erasure is what a certificate that is true says.
type Erasure struct {
	ID        string    `json:"id"`   // of the certificate, or person/ID
	Kind      string    `json:"kind"` // of what was destroyed
	Keys      []string  `json:"keys"`
	Destroyed time.Time `json:"destroyed"`
	Rows      int64     `json:"rows"`    // of what was sealed under them; 0 = not counted
	Sampled   int64     `json:"sampled"` // values that were tried afterwards, none of which opened
	Dead      time.Time `json:"dead"`    // when the last copy of a key dies; zero = not said
}

func erasureOf(leaf Leaf, body map[string]any) Erasure {
	text := func(v any) string { s, _ := v.(string); return s }
	date := func(v any) time.Time {
		if us, ok := v.(int64); ok { // as events write times
			return time.UnixMicro(us).UTC()
		}
		t, _ := time.Parse(time.RFC3339, text(v))
		return t.UTC()
	}
	if body == nil {
		e := Erasure{ID: leaf.Text("object"), Kind: "person", Destroyed: date(leaf.Field("destroyed"))}
		keys, _ := leaf.Field("keys").([]any)
		for _, k := range keys {
			e.Keys = append(e.Keys, text(k))
		}
		return e
	}
	subject, _ := body["subject"].(map[string]any)
	e := Erasure{ID: text(body["id"]), Kind: text(subject["kind"]), Destroyed: date(body["destroyed"])}
	keys, _ := body["keys"].([]any)
	for _, k := range keys {
		k, _ := k.(map[string]any)
		e.Keys = append(e.Keys, text(k["id"]))
	}
	data, _ := body["data"].([]any)
	for _, d := range data {
		d, _ := d.(map[string]any)
		n, _ := d["rows"].(int64)
		e.Rows += n
	}
	verification, _ := body["verification"].(map[string]any)
	e.Sampled, _ = verification["sampled"].(int64)
	copies, _ := body["copies"].([]any)
	for _, c := range copies {
		c, _ := c.(map[string]any)
		if d := date(c["dead"]); d.After(e.Dead) {
			e.Dead = d
		}
	}
	return e
}

// prove finds a key under which the entry stands in the journal.
func (r *Report) prove(c certified, keys []string) (head merkle.Checkpoint, err error) {
	p, err := merkle.ParseProof([]byte(c.Proof))
	if err != nil {
		return head, err
	}
	if p.Index != c.Entry {
		return head, fmt.Errorf("it is of entry %d", p.Index)
	}
	if r.SelfAsserted = len(keys) == 0; r.SelfAsserted {
		keys = []string{c.Key}
	}
	last := errors.New("no key was given")
	for k := range slices.Values(keys) {
		v, err := note.NewVerifier(strings.TrimSpace(k))
		if err != nil {
			last = err
			continue
		}
		if head, last = p.Verify([]byte(c.Leaf), v); last == nil {
			r.Key = strings.TrimSpace(k)
			return head, nil
		}
	}
	return head, last
}

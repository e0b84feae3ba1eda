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

	"golang.org/x/mod/sumdb/note"

	"writ/internal/canon"
	"writ/internal/merkle"
)

// erased is the event that records a certificate of a destroyed key.
const erased = "vault.erase-certified"

// maxCertified bounds a certificate with its proof, in bytes.
const maxCertified = 4 << 20

// certified is the file: a certificate and what proves it.
type certified struct {
	Certificate json.RawMessage `json:"certificate"`
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
	if err == nil {
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
	keys, _ := body["keys"].([]any)
	r.Steps = append(r.Steps, fmt.Sprintf("the certificate %v of %d destroyed keys is the one that entry %d recorded, to the letter", body["id"], len(keys), leaf.N),
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

package merkle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxHashes   = 63
	maxExtra    = 64 << 10

	// MaxProof is the greatest length of a proof file in bytes.
	MaxProof = MaxCheckpoint + maxExtra*4/3 + 4<<10
)

// Proof is the content of a .tlog-proof file (C2SP tlog-proof): that a leaf stands
// at Index in the tree of Checkpoint. The leaf itself travels beside it.
type Proof struct {
	Index      int64
	Hashes     []Hash // from the leaf's sibling up
	Checkpoint []byte // the signed checkpoint as it was received
	Extra      []byte // nobody vouches for it: take no facts from it
}

// Marshal writes the file.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatInt(p.Index, 10) + "\n")
	for _, h := range p.Hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a file of at most MaxProof bytes. What Marshal would not write
// back byte for byte, a checkpoint in a wrong form, and a number of hashes that
// does not fit index and size are refused with fault.Malformed, code
// proof_malformed. It proves nothing yet: call Verify.
func ParseProof(b []byte) (Proof, error) {
	p, err := parseProof(b)
	if err == nil && !bytes.Equal(p.Marshal(), b) {
		err = errors.New("it is not in its only form")
	}
	if err != nil {
		return Proof{}, malformed("proof_malformed", "proof", err)
	}
	return p, nil
}

func parseProof(b []byte) (p Proof, err error) {
	if len(b) > MaxProof {
		return p, fmt.Errorf("it is longer than %d bytes", MaxProof)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return p, errors.New("no empty line before the checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != proofHeader {
		return p, fmt.Errorf("the first line is not %s", proofHeader)
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if p.Extra, err = decode64(lines[0][len("extra "):]); err != nil || len(p.Extra) == 0 || len(p.Extra) > maxExtra {
			return p, fmt.Errorf("extra is not 1 to %d bytes in base64", maxExtra)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return p, errors.New("no index")
	}
	if p.Index, err = parseNumber(lines[0][len("index "):]); err != nil {
		return p, fmt.Errorf("index: %w", err)
	}
	lines = lines[1:]
	if len(lines) > maxHashes {
		return p, fmt.Errorf("more than %d hashes", maxHashes)
	}
	for _, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return p, err
		}
		p.Hashes = append(p.Hashes, h)
	}
	p.Checkpoint = bytes.Clone(checkpoint)
	c, _, err := readNote(p.Checkpoint, nil)
	if err != nil {
		return p, fmt.Errorf("checkpoint: %w", err)
	}
	if p.Index >= c.Size || len(p.Hashes) != inclusionLen(c.Size, p.Index) {
		return p, fmt.Errorf("%d hashes do not prove leaf %d in a tree of %d", len(p.Hashes), p.Index, c.Size)
	}
	return p, nil
}

// Verify checks that the key v signed the checkpoint and that its tree holds leaf
// at Index. It returns the checkpoint, to be compared with others one knows.
func (p Proof) Verify(leaf []byte, v note.Verifier) (Checkpoint, error) {
	c, _, err := OpenCheckpoint(p.Checkpoint, v)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := CheckInclusion(c, p.Index, LeafHash(leaf), p.Hashes); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// exportedPage is the event that records the sums of a published status page.
const exportedPage = "incident.page-exported"

const maxPageFile = 8 << 20

// Page examines a copy of a status page: that each file with a sum is the one that the journal
// recorded when it was published. It never fails: what goes wrong is in the report.
func Page(dir fs.FS, opt Options) Report {
	r := Report{Complete: "page", Steps: []string{}, Problems: []Problem{}}
	wrong := func(what string, err error) {
		if err != nil && len(r.Problems) < maxProblems {
			r.Code, r.Problems = False, append(r.Problems, Problem{what, err.Error()})
		}
	}
	list, err := readPage(dir, sumsName)
	raw, err2 := readPage(dir, "proof.json")
	if err := errors.Join(err, err2); err != nil {
		r.Code, r.Problems = Unreadable, append(r.Problems, Problem{"page", err.Error()})
		return r
	}
	var c certified
	if err := json.Unmarshal(raw, &c); err != nil {
		r.Code, r.Problems = Unreadable, append(r.Problems, Problem{"page", "proof.json is no proof"})
		return r
	}
	files := 0
	for line := range strings.Lines(string(list)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 64 || !fs.ValidPath(name) {
			wrong(sumsName, errors.New("it is not a list of sums and names"))
			break
		}
		body, err := readPage(dir, name)
		if got := sha256.Sum256(body); err == nil && hex.EncodeToString(got[:]) != sum {
			err = errors.New("it is not what was published")
		}
		wrong(name, err)
		files++
	}
	leaf, err := ParseLeaf([]byte(c.Leaf))
	sums := sha256.Sum256(list)
	switch {
	case err != nil:
	case leaf.N != c.Entry:
		err = fmt.Errorf("the entry is number %d, and the file says %d", leaf.N, c.Entry)
	case leaf.Stream != exportedPage || leaf.Field("sha256") != hex.EncodeToString(sums[:]):
		err = errors.New("it records the sums of another page")
	}
	wrong("entry", err)
	head, err := r.prove(c, opt.Keys)
	wrong("proof", err)
	if r.Code != True {
		return r
	}
	r.Leaves, r.Origin, r.Size, r.Root = 1, head.Origin, head.Size, base64.StdEncoding.EncodeToString(head.Root[:])
	r.Steps = append(r.Steps, fmt.Sprintf("%d files are those that entry %d recorded when the page was published", files, leaf.N),
		fmt.Sprintf("entry %d stands in the journal of %d entries, whose checkpoint is signed", leaf.N, head.Size))
	return r
}

func readPage(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s is missing, or cannot be read", name)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPageFile+1))
	if err != nil || len(b) > maxPageFile {
		return nil, fmt.Errorf("%s cannot be read, or is too large", name)
	}
	return b, nil
}

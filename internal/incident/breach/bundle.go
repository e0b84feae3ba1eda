package breach

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"writ/internal/fault"
)

// The parts of a bundle.
const (
	setFile     = "set.json"
	recordsFile = "records.jsonl"
	peopleFile  = "people.txt"
	formerFile  = "former.jsonl"
	whoseFile   = "whose.jsonl"
	linesFile   = "lines.jsonl"
	readmeFile  = "README.txt"
)

// The limits of a bundle that is read.
const (
	maxBundleLine  = 64 << 10
	maxBundleLines = 20_000_000
	maxBundleSet   = 16 << 20
)

// whoseLine is whose a record is.
type whoseLine struct {
	Record string   `json:"record"`
	People []string `json:"people"`
}

const readme = `This is the set of those whom an exposure of data concerns, and all that it was computed from:
the accesses that were selected (records.jsonl), everybody who might have been concerned
(people.txt), whose records are as the application says (whose.jsonl), the set before this one (former.jsonl), and the set itself (lines.jsonl). People
stand under pseudonyms. set.json says what was selected, what the record covers, where it has
holes, and the hash of it all. That hash stands in the journal (incident.scope-frozen).

Run it again, without a server:  writ incident breach check FILE
`

// Write computes a set and writes it with all that it was computed from. want is the hash
// that it must have; "" = whatever it is.
func Write(ctx context.Context, in Input, want string, w io.Writer) (Result, error) {
	return write(ctx, in, Most, want, w)
}

func write(ctx context.Context, in Input, most int, want string, w io.Writer) (Result, error) {
	z := zip.NewWriter(w)
	if err := part(z, readmeFile, func(w io.Writer, _ *json.Encoder) error { _, err := io.WriteString(w, readme); return err }); err != nil { //nolint:wrapcheck // the part says which
		return Result{}, err
	}
	if err := part(z, peopleFile, func(w io.Writer, _ *json.Encoder) error {
		return in.People(ctx, func(s string) error { _, err := fmt.Fprintln(w, s); return err }) //nolint:wrapcheck // the part says which
	}); err != nil {
		return Result{}, err
	}
	if in.Whose != nil {
		if err := part(z, whoseFile, func(_ io.Writer, e *json.Encoder) error {
			for _, r := range slices.Sorted(maps.Keys(in.Whose)) {
				if err := e.Encode(whoseLine{r, in.Whose[r]}); err != nil {
					return err //nolint:wrapcheck // the part says which
				}
			}
			return nil
		}); err != nil {
			return Result{}, err
		}
	}
	if in.Former != nil {
		if err := part(z, formerFile, func(_ io.Writer, e *json.Encoder) error {
			return in.Former(ctx, func(l Line) error { return e.Encode(l) }) //nolint:wrapcheck // the part says which
		}); err != nil {
			return Result{}, err
		}
	}
	var r Result
	f, err := z.Create(recordsFile)
	if err != nil {
		return Result{}, fmt.Errorf("write a bundle: %w", err)
	}
	e, keep, lines := json.NewEncoder(f), in.Keep, false
	in.Keep = func(x *Record) error {
		if keep != nil {
			if err := keep(x); err != nil {
				return err
			}
		}
		return e.Encode(x) //nolint:wrapcheck // the caller says what
	}
	begin := func() error {
		f, err := z.Create(linesFile)
		e, lines = json.NewEncoder(f), true
		return err //nolint:wrapcheck // the caller says what
	}
	if r, err = compute(ctx, in, most, func(l Line) error {
		if !lines {
			if err := begin(); err != nil {
				return err
			}
		}
		return e.Encode(l) //nolint:wrapcheck // the caller says what
	}); err != nil {
		return Result{}, fmt.Errorf("write a bundle: %w", err)
	}
	if want != "" && r.Hash != want {
		return Result{}, fault.New(fault.Conflict, "scope_differs", fault.Public{Problem: "The record does not give the set that was frozen any more.", Expected: "The hash " + want + ".",
			Next: "A segment of the access records is missing or altered: writ check --clause inc.breach-scope"})
	}
	if err := part(z, setFile, func(_ io.Writer, e *json.Encoder) error { e.SetIndent("", "  "); return e.Encode(r) }); err != nil { //nolint:wrapcheck // the part says which
		return Result{}, err
	}
	if err := z.Close(); err != nil {
		return Result{}, fmt.Errorf("write a bundle: %w", err)
	}
	return r, nil
}

func part(z *zip.Writer, name string, fn func(io.Writer, *json.Encoder) error) error {
	w, err := z.Create(name)
	if err == nil {
		err = fn(w, json.NewEncoder(w))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Check computes the set of a bundle again, from nothing but the bundle. An error is a bundle
// that cannot be read; wrong says in words what does not hold.
func Check(ctx context.Context, file io.ReaderAt, size int64) (r Result, wrong []string, err error) { // clause: inc.breach-scope
	z, err := zip.NewReader(file, size)
	if err != nil {
		return Result{}, nil, fmt.Errorf("it is no bundle: %w", err)
	}
	seen := map[string]*zip.File{}
	for _, f := range z.File {
		if seen[f.Name] != nil {
			return Result{}, nil, fmt.Errorf("it is no bundle: %.40q stands twice", f.Name)
		}
		seen[f.Name] = f
	}
	says, err := readSet(seen[setFile])
	if err != nil {
		return Result{}, nil, err
	}
	if err := says.Selector.Check(says.Selector.Until.Add(time.Second)); err != nil {
		return Result{}, nil, fmt.Errorf("it is no bundle: %w", err)
	}
	in := Input{Version: says.Version, Selector: says.Selector, Data: says.Data, Tagged: says.Told,
		People: func(_ context.Context, fn func(string) error) error {
			return eachLine(seen[peopleFile], func(b []byte) error { return fn(string(b)) })
		},
		Records: func(_ context.Context, fn func(*Record) error) (Coverage, error) {
			return says.Coverage, eachLine(seen[recordsFile], decoded(fn))
		}}
	if f := seen[whoseFile]; f != nil {
		in.Whose = map[string][]string{}
		if err := eachLine(f, decoded(func(l *whoseLine) error { in.Whose[l.Record] = append([]string{}, l.People...); return nil })); err != nil {
			return Result{}, nil, err
		}
	}
	if f := seen[formerFile]; f != nil {
		in.Former = func(_ context.Context, fn func(Line) error) error {
			return eachLine(f, decoded(func(l *Line) error { return fn(*l) }))
		}
	}
	var n int64
	again, err := Compute(ctx, in, func(Line) error { n++; return nil })
	if err != nil {
		return Result{}, nil, fmt.Errorf("compute it again: %w", err)
	}
	for _, c := range []struct{ what, is, says string }{{"the accesses", again.Inputs, says.Inputs}, {"the lines", again.Lines, says.Lines}, {"the whole", again.Hash, says.Hash}} {
		if c.is != c.says {
			wrong = append(wrong, fmt.Sprintf("%s: computed again they give %.16s, and the bundle says %.16s", c.what, c.is, c.says))
		}
	}
	return again, wrong, nil
}

func readSet(f *zip.File) (r Result, err error) {
	if f == nil {
		return Result{}, errors.New("it is no bundle: it has no " + setFile)
	}
	in, err := f.Open()
	if err != nil {
		return Result{}, fmt.Errorf("read %s: %w", setFile, err)
	}
	defer in.Close()
	if err := json.NewDecoder(io.LimitReader(in, maxBundleSet)).Decode(&r); err != nil {
		return Result{}, fmt.Errorf("read %s: %w", setFile, err)
	}
	if r.Format != format {
		return Result{}, fmt.Errorf("it has the form %d, and this program reads %d", r.Format, format)
	}
	return r, nil
}

// eachLine goes through a part line by line. A part that is not there is an error.
func eachLine(f *zip.File, fn func([]byte) error) error {
	if f == nil {
		return errors.New("a part of the bundle is missing")
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	defer in.Close()
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), maxBundleLine)
	for n := 0; s.Scan(); n++ {
		if n >= maxBundleLines {
			return fmt.Errorf("%s has too many lines", f.Name)
		}
		if err := fn(s.Bytes()); err != nil {
			return fmt.Errorf("%s, line %d: %w", f.Name, n+1, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	return nil
}

func decoded[T any](fn func(*T) error) func([]byte) error {
	return func(b []byte) error {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return err //nolint:wrapcheck // the caller says where
		}
		return fn(&v)
	}
}

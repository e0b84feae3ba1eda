package leak

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of an object, as packs number them.
type kind byte

const (
	kindCommit kind = 1
	kindTree   kind = 2
	kindBlob   kind = 3
	kindTag    kind = 4
	ofsDelta   kind = 6
	refDelta   kind = 7
)

// String is the kind as loose objects name it.
func (k kind) String() string {
	return map[kind]string{kindCommit: "commit", kindTree: "tree", kindBlob: "blob", kindTag: "tag"}[k]
}

// object is one of a repository. big ones have no data.
type object struct {
	id   string // bytes
	kind kind
	data []byte
	big  bool
}

func (o object) hex() string { return hex.EncodeToString([]byte(o.id)) }

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}

// The bounds of what is read of a repository.
const (
	maxObject = 32 << 20
	maxIndex  = 1 << 30
	maxChain  = 10_000 // deltas on deltas
	maxCache  = 64 << 20
	maxHeld   = 64 << 20 // deltas that wait for their base
	maxWithin = 50       // reads within reads
	maxList   = 1 << 20  // a setting or a list
	maxStores = 10
)

var (
	errNoObject = errors.New("there is no such object")
	errBig      = errors.New("the object is large")
)

func errPack(why string) error { return errors.New("the pack is damaged: " + why) }

// store is the objects of a repository: loose ones, packs, and those of stores it borrows.
type store struct {
	*ground
	size  int // of an id
	dirs  []string
	packs []*pack
	depth int // reads within reads, of deltas on objects of other packs
	held  int // bytes of deltas that wait for their base
}

// openStore finds what a repository's objects lie in. What it borrows from outside the
// place is not read, and said.
func (s *scan) openStore(dir, name string) (*store, error) {
	r := &store{ground: s.ground, size: 20}
	if b, err := s.whole(filepath.Join(dir, "config"), maxList); err == nil && strings.Contains(strings.ToLower(strings.ReplaceAll(string(b), " ", "")), "objectformat=sha256") {
		r.size = 32
	}
	borrow := func(objects string) {
		real, ok := s.within(objects)
		if !ok || len(r.dirs) >= maxStores {
			s.unread(name + " (objects in " + objects + ")")
		} else if !slices.Contains(r.dirs, real) {
			r.dirs = append(r.dirs, real)
		}
	}
	borrow(filepath.Join(dir, "objects"))
	for i := 0; i < len(r.dirs); i++ {
		list := filepath.Join(r.dirs[i], "info", "alternates")
		b, err := s.whole(list, maxList)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.unread(name + " (objects that it borrows)")
		}
		for other := range strings.FieldsSeq(string(b)) {
			if !filepath.IsAbs(other) {
				other = filepath.Join(r.dirs[i], other)
			}
			borrow(other)
		}
		if err := r.openPacks(filepath.Join(r.dirs[i], "pack")); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *store) openPacks(dir string) error {
	names, err := r.list(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if filepath.Ext(n) != ".idx" {
			continue
		}
		p, err := openPack(r.ground, filepath.Join(dir, n), r.size)
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		r.packs = append(r.packs, p)
	}
	return nil
}

func (r *store) close() error {
	var errs []error
	for _, p := range r.packs {
		errs = append(errs, p.f.Close())
	}
	r.packs = nil
	return errors.Join(errs...)
}

// each hands over every object once, or those of some kinds.
func (r *store) each(ctx context.Context, fn func(object) error, kinds ...kind) error {
	seen := map[string]bool{}
	give := func(id string, read func(kinds []kind) (object, error)) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := read(kinds)
		if errors.Is(err, errBig) {
			o.big, err = true, nil
		}
		if err != nil {
			return fmt.Errorf("object %s: %w", object{id: id}.hex(), err)
		}
		if o.id = id; o.kind != 0 && (len(kinds) == 0 || slices.Contains(kinds, o.kind)) {
			return fn(o)
		}
		return nil
	}
	for _, p := range r.packs {
		for _, e := range p.order {
			if err := give(e.id, func(kinds []kind) (object, error) { return p.read(ctx, r, e.at, kinds) }); err != nil {
				return err
			}
		}
	}
	for _, dir := range r.dirs {
		if err := r.eachLoose(dir, give); err != nil {
			return err
		}
	}
	return nil
}

func (r *store) eachLoose(dir string, give func(id string, read func(kinds []kind) (object, error)) error) error {
	fans, err := r.list(dir)
	if err != nil {
		return err
	}
	for _, fan := range fans {
		if len(fan) != 2 || unhex(fan) == "" {
			continue
		}
		names, err := r.list(filepath.Join(dir, fan))
		if err != nil {
			return err
		}
		for _, n := range names {
			id := unhex(fan + n)
			if len(id) != r.size {
				continue
			}
			if err := give(id, func([]kind) (object, error) { return r.readLoose(filepath.Join(dir, fan, n)) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// object finds one by its id.
func (r *store) object(ctx context.Context, id string) (object, error) {
	for _, p := range r.packs {
		if at, ok := p.at[id]; ok {
			o, err := p.read(ctx, r, at, nil)
			o.id = id
			return o, err
		}
	}
	h := object{id: id}.hex()
	for _, dir := range r.dirs {
		o, err := r.readLoose(filepath.Join(dir, h[:2], h[2:]))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		o.id = id
		return o, err
	}
	return object{}, errNoObject
}

func (r *store) readLoose(name string) (object, error) {
	f, _, err := r.open(name)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	return parseLoose(f)
}

// parseLoose reads "blob 12\x00…", compressed.
func parseLoose(r io.Reader) (object, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return object{}, err
	}
	b := bufio.NewReader(z)
	head, err := b.ReadSlice(0)
	if err != nil {
		return object{}, errPack("an object without a head")
	}
	word, number, _ := strings.Cut(string(head[:len(head)-1]), " ")
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 {
		return object{}, errPack("an object without a size")
	}
	var o object
	for _, k := range []kind{kindCommit, kindTree, kindBlob, kindTag} {
		if k.String() == word {
			o.kind = k
		}
	}
	if size > maxObject {
		return o, errBig
	}
	o.data, err = readExactly(b, size)
	return o, err
}

func readExactly(r io.Reader, n int64) ([]byte, error) {
	var b bytes.Buffer
	if got, err := io.CopyN(&b, r, n); err != nil {
		return nil, errPack(fmt.Sprintf("%d of %d bytes: %v", got, n, err))
	}
	return b.Bytes(), nil
}

// pack is a file of many objects, and the list of where each is.
type pack struct {
	f     *os.File
	size  int64
	at    map[string]int64
	order []entry // by place
	cache map[int64]object
	held  int
}

type entry struct {
	id string
	at int64
}

func openPack(g *ground, index string, idSize int) (*pack, error) {
	b, err := g.whole(index, maxIndex)
	if err != nil {
		return nil, err
	}
	p := &pack{cache: map[int64]object{}}
	if p.order, err = parseIndex(b, idSize); err != nil {
		return nil, err
	}
	p.at = make(map[string]int64, len(p.order))
	for _, e := range p.order {
		p.at[e.id] = e.at
	}
	p.f, p.size, err = g.open(strings.TrimSuffix(index, ".idx") + ".pack")
	return p, err
}

// parseIndex reads version 2 of the format: names in order, then their places.
func parseIndex(b []byte, idSize int) ([]entry, error) {
	const head = 8 + 256*4
	if len(b) < head || string(b[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return nil, errPack("its index is of another version")
	}
	n := int(binary.BigEndian.Uint32(b[head-4:]))
	names := b[head:]
	if len(names)/(idSize+8) < n {
		return nil, errPack("its index is cut off")
	}
	small := names[n*(idSize+4):]
	large := small[n*4:]
	out := make([]entry, 0, n)
	for i := range n {
		at := int64(binary.BigEndian.Uint32(small[i*4:]))
		if at&(1<<31) != 0 {
			k := int(at &^ (1 << 31))
			if len(large)/8 <= k {
				return nil, errPack("its index names a place that is not there")
			}
			at = int64(binary.BigEndian.Uint64(large[k*8:]) & (1<<63 - 1))
		}
		out = append(out, entry{string(names[i*idSize : (i+1)*idSize]), at})
	}
	slices.SortFunc(out, func(a, b entry) int { return int(min(max(a.at-b.at, -1), 1)) })
	return out, nil
}

// read gives the object at a place. Where only some kinds are wanted, the data of others is
// not read. A chain of deltas ends: no place is in it twice, other packs are asked to a
// depth, and what is held on the way is bounded.
func (p *pack) read(ctx context.Context, r *store, at int64, kinds []kind) (object, error) {
	held := r.held
	r.depth++
	defer func() { r.depth, r.held = r.depth-1, held }()
	if r.depth > maxWithin {
		return object{}, errPack("a chain without end over several packs")
	}
	var deltas [][]byte
	var places []int64
	var o object
	for seen := map[int64]bool{}; ; {
		if err := ctx.Err(); err != nil {
			return object{}, err
		}
		if seen[at] || len(deltas) > maxChain {
			return object{}, errPack("a chain without end")
		}
		seen[at] = true
		if base, ok := p.cache[at]; ok {
			o = base
			break
		}
		k, data, base, err := p.raw(r, at)
		if err != nil {
			return object{kind: k}, err
		}
		if k != ofsDelta && k != refDelta {
			o = object{kind: k, data: data}
			p.keep(at, o)
			break
		}
		if r.held += len(data); r.held > maxHeld {
			return object{kind: k}, errBig
		}
		deltas, places = append(deltas, data), append(places, at)
		if at = base; k == refDelta && base < 0 {
			if o, err = r.object(ctx, string(data[:r.size])); err != nil {
				return object{}, err
			}
			deltas[len(deltas)-1] = data[r.size:]
			break
		}
	}
	if len(kinds) > 0 && !slices.Contains(kinds, o.kind) {
		return object{kind: o.kind}, nil
	}
	for i := len(deltas) - 1; i >= 0; i-- {
		data, err := patch(o.data, deltas[i])
		if err = errors.Join(err, ctx.Err()); err != nil {
			return object{kind: o.kind}, err
		}
		o.data = data
		p.keep(places[i], o)
	}
	return o, nil
}

// keep remembers what others are made from.
func (p *pack) keep(at int64, o object) {
	if p.held += len(o.data); p.held > maxCache {
		clear(p.cache)
		p.held = len(o.data)
	}
	p.cache[at] = o
}

// raw reads what stands at a place: an object, or a delta and the place of what it changes.
// A delta on an object of another pack has base -1, and begins with its id.
func (p *pack) raw(r *store, at int64) (k kind, data []byte, base int64, err error) {
	if at < 12 || at >= p.size {
		return 0, nil, 0, errPack("a place outside it")
	}
	b := bufio.NewReader(io.NewSectionReader(p.f, at, p.size-at))
	k, size, err := packHead(b)
	if err != nil {
		return 0, nil, 0, err
	}
	var id []byte
	switch k {
	case kindCommit, kindTree, kindBlob, kindTag:
	case ofsDelta:
		back, err := offset(b)
		if err != nil || back <= 0 || back >= at {
			return 0, nil, 0, errPack("a delta on nothing")
		}
		base = at - back
	case refDelta:
		if id, err = readExactly(b, int64(r.size)); err != nil {
			return 0, nil, 0, err
		}
		var here bool
		if base, here = p.at[string(id)]; here {
			id = nil
		} else {
			base = -1
		}
	default:
		return 0, nil, 0, errPack("an object of no kind")
	}
	if size > maxObject {
		return k, nil, 0, errBig
	}
	z, err := zlib.NewReader(b)
	if err != nil {
		return 0, nil, 0, errPack(err.Error())
	}
	if data, err = readExactly(z, size); err != nil {
		return 0, nil, 0, err
	}
	return k, append(id, data...), base, nil
}

// packHead reads the kind and the size of what follows.
func packHead(b io.ByteReader) (kind, int64, error) {
	c, err := b.ReadByte()
	if err != nil {
		return 0, 0, errPack("it ends in a head")
	}
	k, size := kind(c>>4&7), int64(c&15)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if c, err = b.ReadByte(); err != nil || shift > 50 {
			return 0, 0, errPack("a size without end")
		}
		size |= int64(c&0x7f) << shift
	}
	return k, size, nil
}

// offset reads how far back the base of a delta lies.
func offset(b io.ByteReader) (int64, error) {
	c, err := b.ReadByte()
	n := int64(c & 0x7f)
	for err == nil && c&0x80 != 0 {
		if n > 1<<48 {
			return 0, errPack("a place without end")
		}
		c, err = b.ReadByte()
		n = (n+1)<<7 | int64(c&0x7f)
	}
	return n, err
}

// patch applies a delta: copies of pieces of the base, and new bytes.
func patch(base, delta []byte) ([]byte, error) {
	from, delta, ok := varint(delta)
	to, delta, ok2 := varint(delta)
	if !ok || !ok2 || from != int64(len(base)) {
		return nil, errPack("a delta on another base")
	}
	if to > maxObject {
		return nil, errBig
	}
	out := make([]byte, 0, min(to, int64(len(base)+len(delta))*4))
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || len(delta) < int(op) {
				return nil, errPack("a delta that is cut off")
			}
			out, delta = append(out, delta[:op]...), delta[op:]
		} else {
			var v [7]byte
			for i := range v {
				if op&(1<<i) != 0 {
					if len(delta) == 0 {
						return nil, errPack("a delta that is cut off")
					}
					v[i], delta = delta[0], delta[1:]
				}
			}
			at, n := int64(binary.LittleEndian.Uint32(v[:4])), int64(v[4])|int64(v[5])<<8|int64(v[6])<<16
			if n == 0 {
				n = 1 << 16
			}
			if at+n > int64(len(base)) {
				return nil, errPack("a delta that copies from outside")
			}
			out = append(out, base[at:at+n]...)
		}
		if int64(len(out)) > to {
			return nil, errPack("a delta that grows")
		}
	}
	if int64(len(out)) != to {
		return nil, errPack("a delta that is too short")
	}
	return out, nil
}

func varint(b []byte) (n int64, rest []byte, ok bool) {
	for shift := 0; len(b) > 0 && shift < 50; shift += 7 {
		c := b[0]
		b = b[1:]
		n |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, true
		}
	}
	return 0, nil, false
}

package kdbx

import (
	"encoding/binary"
	"encoding/hex"
)

// The ids of ciphers and derivations.
const (
	aescbc    = "31c1f2e6bf714350be5805216afc5aff"
	chacha    = "d6038a2b8b6f4cb5a524339a31dbb59a"
	twofish   = "ad68f29f576f4bb9a36ad47af965346c"
	argon2d   = "ef636ddf8c29444b91f7a9a403e30a0c"
	argon2id  = "9e298b1956db4773b23dfc3ec6f0a1e6"
	aeskdf    = "c9d9f39a628a4460bf740d08c18a4fea"
	aeskdf4   = "7c02bb8279a74ac0927d114a00648238"
	maxHeader = 1 << 20
)

// The inner streams, which protect texts within the XML.
const (
	noStream = 0
	salsa    = 2
	chachas  = 3
)

// header is the outer one, which lies in clear.
type header struct {
	raw       []byte
	major     uint16
	cipher    string
	gzip      bool
	seed, iv  []byte
	kdf       derivation
	streamKey []byte // this and the next two only in KDBX 3; KDBX 4 has them inside
	stream    uint64
	start     []byte
}

// parts reads fields of an id, a length of width bytes and that many bytes, until one of id 0.
func parts(b []byte, width int, each func(id byte, data []byte) error) (rest []byte, err error) {
	for {
		if len(b) < 1+width {
			return nil, errCut
		}
		id, n := b[0], uint64(binary.LittleEndian.Uint16(b[1:]))
		if width == 4 {
			n = uint64(binary.LittleEndian.Uint32(b[1:]))
		}
		if b = b[1+width:]; n > uint64(len(b)) {
			return nil, errCut
		}
		data := b[:n:n]
		if b = b[n:]; id == 0 {
			return b, nil
		}
		if err := each(id, data); err != nil {
			return nil, err
		}
	}
}

func readHeader(file []byte) (h *header, rest []byte, err error) {
	if !Is(file) || len(file) < 12 {
		return nil, nil, errCut
	}
	minor, major := binary.LittleEndian.Uint16(file[8:10]), binary.LittleEndian.Uint16(file[10:12])
	if major != 4 && (major != 3 || minor < 1) {
		return nil, nil, bad("kdbx_version", "The database is in another form than KDBX 3.1 and 4.")
	}
	h = &header{major: major}
	width := 4
	if major == 3 {
		width, h.kdf.how = 2, aeskdf
	}
	if rest, err = parts(file[12:], width, h.field); err != nil {
		return nil, nil, err
	}
	h.raw = file[:len(file)-len(rest)]
	switch {
	case len(h.raw) > maxHeader || len(h.seed) != 32 || major == 3 && len(h.start) != 32:
		return nil, nil, errCut
	case h.cipher == twofish:
		return nil, nil, bad("kdbx_cipher", "The database is encrypted by Twofish, which is not read. Choose AES or ChaCha20 in its settings.")
	case h.cipher != aescbc && h.cipher != chacha:
		return nil, nil, bad("kdbx_cipher", "The database is encrypted by something else than AES-256 or ChaCha20.")
	}
	return h, rest, nil
}

func (h *header) field(id byte, data []byte) error {
	n, ok := number(data)
	switch id {
	case 2:
		h.cipher = hex.EncodeToString(data)
	case 3:
		if h.gzip = n == 1; !ok || n > 1 {
			return errCut
		}
	case 4:
		h.seed = data
	case 7:
		h.iv = data
	}
	if h.major == 4 {
		if id == 11 {
			return h.kdf.read(data)
		}
		return nil
	}
	switch id {
	case 5:
		h.kdf.salt = data
	case 6:
		h.kdf.rounds = n
	case 8:
		h.streamKey = data
	case 9:
		h.start = data
	case 10:
		h.stream = n
	default:
		return nil
	}
	if (id == 6 || id == 10) && !ok {
		return errCut
	}
	return nil
}

// derivation is how a database's key is made of what somebody knows.
type derivation struct {
	how                     string
	salt                    []byte
	rounds                  uint64 // of AES
	memory, passes, threads uint64
	version                 uint64
	more                    bool // a secret or other data goes into it too
}

// read reads a dictionary of variants: a kind, a name and a value each.
func (d *derivation) read(b []byte) error {
	if len(b) < 2 || b[1] != 1 { // its version
		return errCut
	}
	b = b[2:]
	next := func() (part []byte, ok bool) {
		if len(b) < 4 {
			return nil, false
		}
		n := uint64(binary.LittleEndian.Uint32(b))
		if b = b[4:]; n > uint64(len(b)) {
			return nil, false
		}
		part, b = b[:n:n], b[n:]
		return part, true
	}
	for {
		if len(b) == 0 {
			return errCut
		}
		kind := b[0]
		if b = b[1:]; kind == 0 {
			return nil
		}
		name, ok := next()
		value, whole := next()
		if !ok || !whole {
			return errCut
		}
		d.set(string(name), value)
	}
}

func (d *derivation) set(name string, value []byte) {
	n, _ := number(value)
	switch name {
	case "$UUID":
		d.how = hex.EncodeToString(value)
	case "S":
		d.salt = value
	case "R":
		d.rounds = n
	case "M":
		d.memory = n
	case "I":
		d.passes = n
	case "P":
		d.threads = n
	case "V":
		d.version = n
	case "K", "A":
		d.more = d.more || len(value) > 0
	}
}

// check refuses a derivation that would take too much, before it is begun.
func (d *derivation) check(l Limits) error {
	switch d.how {
	case argon2d, argon2id:
		if d.memory > l.Memory || d.passes > l.Work/max(d.memory, 1) || d.passes > 1<<31 || d.threads > maxThreads {
			return tooMuch()
		}
		if d.memory < 8*1024*d.threads || d.passes < 1 || d.threads < 1 || len(d.salt) < 8 || len(d.salt) > 64 || d.version != 0x13 || d.more {
			return bad("kdbx_kdf", "The database makes its key in a way that is not read.")
		}
	case aeskdf, aeskdf4:
		if d.rounds > l.Rounds {
			return tooMuch()
		}
		if len(d.salt) != 32 {
			return errCut
		}
	default:
		return bad("kdbx_kdf", "The database makes its key in a way that is not read.")
	}
	return nil
}

func tooMuch() error {
	return bad("kdbx_work", "To open the database takes more memory or time than is given to it here. Lower both in its settings, or open it by the command line on a machine of your own.")
}

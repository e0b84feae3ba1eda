package guard

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// MostMessage is the longest text message that is put together (1 MiB).
const MostMessage = 1 << 20

// The reasons to end a WebSocket (RFC 6455 section 7.4.1).
const (
	CloseProtocol = 1002
	ClosePolicy   = 1008
	CloseLarge    = 1009
)

// The ways in which frames end.
var (
	ErrFrame   = errors.New("guard: not a frame of a WebSocket without extensions")
	ErrLarge   = errors.New("guard: a text message is longer than 1 MiB")
	ErrStopped = errors.New("guard: a text message holds what may not pass")
)

const (
	opText  = 1
	opBin   = 2
	opClose = 8
)

// Frames looks at one direction of a WebSocket (RFC 6455). Text messages are put together
// and looked at whole; everything else passes as it comes. The zero Frames is not ready:
// use NewFrames.
type Frames struct {
	rules  Rules
	find   func(Find)
	masked bool // from the client: frames carry a mask key

	scan  Scanner
	head  [14]byte
	got   int // bytes of the head
	need  int
	left  uint64 // bytes of the frame that have not come
	pass  bool   // they go by
	fin   bool
	text  bool // a text message has begun
	cont  bool // a message has begun whose end has not come
	key   [4]byte
	at    int    // bytes of the frame that have come
	whole []byte // the message so far, without mask
	mkey  [4]byte
	out   []byte
}

// NewFrames makes a Frames for one direction.
func NewFrames(r Rules, fromClient bool, find func(Find)) *Frames {
	return &Frames{rules: r, find: find, masked: fromClient, need: 2}
}

// Write appends to dst what may be given away of the connection's bytes.
func (f *Frames) Write(dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		if f.got < f.need {
			n := copy(f.head[f.got:f.need], src)
			f.got, src = f.got+n, src[n:]
			if f.got < f.need {
				return dst, nil
			}
			if f.got == 2 {
				if f.need = f.length(); f.need > 2 {
					continue
				}
			}
			var err error
			if dst, err = f.begin(dst); err != nil {
				return dst, err
			}
			continue
		}
		n := int(min(uint64(len(src)), f.left))
		dst = f.payload(dst, src[:n])
		src, f.left = src[n:], f.left-uint64(n)
		if f.left > 0 {
			continue
		}
		var err error
		if dst, err = f.end(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// length is that of the head, from its first two bytes.
func (f *Frames) length() int {
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a head.
func (f *Frames) begin(dst []byte) ([]byte, error) {
	op := f.head[0] & 0xf
	f.fin = f.head[0]&0x80 != 0
	size := 2
	switch f.left = uint64(f.head[1] & 0x7f); f.left {
	case 126:
		f.left, size = uint64(binary.BigEndian.Uint16(f.head[2:])), 4
	case 127:
		f.left, size = binary.BigEndian.Uint64(f.head[2:]), 10
	}
	copy(f.key[:], f.head[size:f.need])
	control := op >= opClose
	switch {
	case f.head[0]&0x70 != 0, f.head[1]&0x80 != 0 != f.masked, f.left > 1<<62:
		return dst, ErrFrame
	case control && (!f.fin || f.left > 125 || op > 10), !control && op > opBin, (op == opText || op == opBin) && f.cont, op == 0 && !f.cont:
		return dst, ErrFrame
	}
	f.at = 0
	if f.pass = control || op == opBin || op == 0 && !f.text; f.pass {
		if !control {
			f.cont, f.text = !f.fin, false
		}
		dst = append(dst, f.head[:f.need]...)
		if f.left == 0 {
			f.got, f.need = 0, 2
		}
		return dst, nil
	}
	if op == opText {
		f.text, f.mkey, f.whole = true, f.key, f.whole[:0]
	}
	f.cont = !f.fin
	if uint64(len(f.whole))+f.left > MostMessage {
		return dst, ErrLarge
	}
	if f.left == 0 {
		return f.end(dst)
	}
	return dst, nil
}

func (f *Frames) payload(dst, b []byte) []byte {
	if f.pass {
		return append(dst, b...)
	}
	from := len(f.whole)
	f.whole = append(f.whole, b...)
	if f.masked {
		unmask(f.whole[from:], f.key, f.at)
	}
	f.at += len(b)
	return dst
}

// end gives a whole message away, as one frame.
func (f *Frames) end(dst []byte) ([]byte, error) {
	f.got, f.need = 0, 2
	if f.pass || !f.fin {
		return dst, nil
	}
	f.text = false
	out := f.whole
	if !Harmless(f.whole) {
		f.scan.Reset(f.rules, message(f.whole), f.find)
		f.out = f.scan.Close(f.scan.Write(f.out[:0], f.whole))
		if f.scan.Stopped() {
			return dst, ErrStopped
		}
		out = f.out
	}
	dst = appendHead(dst, opText, len(out), f.masked)
	if !f.masked {
		return append(dst, out...), nil
	}
	dst = append(dst, f.mkey[:]...)
	from := len(dst)
	dst = append(dst, out...)
	unmask(dst[from:], f.mkey, 0)
	return dst, nil
}

func appendHead(dst []byte, op byte, n int, masked bool) []byte {
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		return append(dst, bit|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, bit|126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, bit|127), uint64(n))
}

func unmask(b []byte, key [4]byte, at int) {
	for i := range b {
		b[i] ^= key[(at+i)&3]
	}
}

// CloseFrame ends a WebSocket; it is what a server sends.
func CloseFrame(code uint16, why string) []byte {
	for len(why) > 123 || !utf8.ValidString(why) {
		why = why[:len(why)-1]
	}
	b := appendHead(nil, opClose, 2+len(why), false)
	return append(binary.BigEndian.AppendUint16(b, code), why...)
}

package kdbx

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/chacha20"
	salsa20 "golang.org/x/crypto/salsa20/salsa"

	"writ/internal/secret"
)

const maxDepth = 128

// content reads the inner header of KDBX 4 and copies the XML behind it, with what is
// protected in it opened.
func (h *header) content(plain []byte) (secret.Bytes, error) {
	stream, key := h.stream, h.streamKey
	var files [][]byte
	if h.major == 4 {
		var err error
		plain, err = parts(plain, 4, func(id byte, data []byte) error {
			switch id {
			case 1:
				stream, _ = number(data)
			case 2:
				key = data
			case 3:
				if len(data) == 0 {
					return errCut
				}
				files = append(files, data[1:]) // the first byte says how KeePass holds it in memory
			}
			return nil
		})
		if err != nil {
			return secret.Bytes{}, err
		}
	}
	s, err := opener(stream, key)
	if err != nil {
		return secret.Bytes{}, err
	}
	r := reader{in: xml.NewDecoder(bytes.NewReader(plain)), stream: s, files: files}
	if h.major == 3 {
		sum := sha256.Sum256(h.raw)
		r.headerHash = base64.StdEncoding.EncodeToString(sum[:])
	}
	r.out = xml.NewEncoder(&r.text)
	if err := r.read(); err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(r.text.Bytes()), nil
}

// opener is the stream of an inner header.
func opener(stream uint64, key []byte) (cipher.Stream, error) {
	switch {
	case stream == chachas && len(key) > 0:
		sum := sha512.Sum512(key)
		return chacha20.NewUnauthenticatedCipher(sum[:32], sum[32:44])
	case stream == salsa && len(key) > 0:
		s := &salsaStream{key: sha256.Sum256(key)}
		copy(s.counter[:], []byte{0xe8, 0x30, 0x09, 0x4b, 0x97, 0x20, 0x5d, 0x2a}) // the format has one nonce for all
		return s, nil
	case stream == noStream:
		return nil, nil
	}
	return nil, bad("kdbx_stream", "The database protects its texts by something else than ChaCha20 or Salsa20.")
}

// salsaStream goes on where the last text ended, which the library's function does not.
type salsaStream struct {
	key     [32]byte
	counter [16]byte // nonce, number of the block
	next    uint64
	block   [64]byte
	left    int
}

func (s *salsaStream) XORKeyStream(dst, src []byte) {
	for i := range src {
		if s.left == 0 {
			for n := range 8 {
				s.counter[8+n] = byte(s.next >> (8 * n))
			}
			s.next++
			var zero [64]byte
			salsa20.XORKeyStream(s.block[:], zero[:], &s.counter, &s.key)
			s.left = len(s.block)
		}
		dst[i] = src[i] ^ s.block[len(s.block)-s.left]
		s.left--
	}
}

// reader copies elements and texts, and opens the protected ones in the order in which they
// stand: those of the history too, which is not copied.
type reader struct {
	in         *xml.Decoder
	out        *xml.Encoder
	text       bytes.Buffer
	stream     cipher.Stream
	files      [][]byte
	headerHash string // what the XML of KDBX 3.1 must say of the header; "" = it was found
	path       []string
	hidden     int // depth at which something began that is not copied; 0 = copied
	begun      *xml.StartElement
	opening    bool // within a protected text
	typed      strings.Builder
}

// left are parts that an import has no use for.
var left = map[string]bool{"History": true, "DeletedObjects": true, "Times": true, "CustomData": true, "AutoType": true, "CustomIcons": true}

func (r *reader) read() error {
	for {
		t, err := r.in.Token()
		if errors.Is(err, io.EOF) && len(r.path) == 0 && r.text.Len() > 0 {
			if r.headerHash != "" {
				return altered()
			}
			return nil
		}
		if err != nil {
			return errCut
		}
		switch t := t.(type) {
		case xml.Directive:
			return errCut
		case xml.StartElement:
			err = r.begin(t)
		case xml.EndElement:
			err = r.end(t)
		case xml.CharData:
			r.typed.Write(t)
		}
		if err != nil {
			return err
		}
		if r.out.Flush() != nil || r.text.Len() > maxUnpacked {
			return tooLarge()
		}
	}
}

func (r *reader) begin(t xml.StartElement) error {
	if err := r.start(); err != nil {
		return err
	}
	if r.path = append(r.path, t.Name.Local); len(r.path) > maxDepth {
		return errCut
	}
	if r.hidden == 0 && left[t.Name.Local] {
		r.hidden = len(r.path)
	}
	r.typed.Reset()
	r.opening = false
	out := xml.StartElement{Name: xml.Name{Local: t.Name.Local}}
	for _, a := range t.Attr {
		switch name := a.Name.Local; {
		case name == "Protected":
			r.opening = strings.EqualFold(a.Value, "true")
		case name == "Ref" || name == "ID" || name == "Compressed":
			out.Attr = append(out.Attr, xml.Attr{Name: xml.Name{Local: name}, Value: a.Value})
		}
	}
	if r.hidden == 0 {
		r.begun = &out
	}
	return nil
}

// start writes the tag that was begun last; its attributes are not known sooner.
func (r *reader) start() error {
	if r.begun == nil {
		return nil
	}
	t := *r.begun
	r.begun = nil
	return r.out.EncodeToken(t)
}

// filed writes the files of KDBX 4, which lie before the XML, to where an export has them.
func (r *reader) filed() error {
	all := xml.StartElement{Name: xml.Name{Local: "Binaries"}}
	errs := []error{r.start(), r.out.EncodeToken(all)}
	for n, f := range r.files {
		if len(f) > maxUnpacked/2-r.text.Len() {
			return tooLarge()
		}
		one := xml.StartElement{Name: xml.Name{Local: "Binary"}, Attr: []xml.Attr{{Name: xml.Name{Local: "ID"}, Value: strconv.Itoa(n)}}}
		errs = append(errs, r.out.EncodeToken(one), r.out.EncodeToken(xml.CharData(base64.StdEncoding.EncodeToString(f))), r.out.EncodeToken(one.End()), r.out.Flush())
	}
	r.files = nil
	return errors.Join(append(errs, r.out.EncodeToken(all.End()))...)
}

func (r *reader) end(t xml.EndElement) error {
	text := r.typed.String()
	r.typed.Reset()
	at := t.Name.Local
	if len(r.path) > 1 {
		at = r.path[len(r.path)-2] + "/" + at
	}
	if r.opening {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || r.stream == nil {
			return errCut
		}
		r.stream.XORKeyStream(b, b)
		if text = string(b); at == "Binaries/Binary" || at == "Binary/Value" {
			text = base64.StdEncoding.EncodeToString(b) // as it is where nothing protects it
		}
	}
	r.opening = false
	if at == "Meta/HeaderHash" && r.headerHash != "" {
		if strings.TrimSpace(text) != r.headerHash {
			return altered()
		}
		r.headerHash = ""
	}
	hidden := r.hidden > 0
	if r.hidden == len(r.path) {
		r.hidden = 0
	}
	r.path = r.path[:len(r.path)-1]
	if hidden {
		return nil
	}
	if at == "KeePassFile/Meta" && len(r.files) > 0 {
		if err := r.filed(); err != nil {
			return err
		}
	}
	return r.close(t, text)
}

func (r *reader) close(t xml.EndElement, text string) error {
	if r.begun != nil && !isText(text) {
		r.begun.Attr, text = append(r.begun.Attr, xml.Attr{Name: xml.Name{Local: "NotText"}, Value: "True"}), ""
	}
	if err := r.start(); err != nil {
		return errCut
	}
	if strings.TrimSpace(text) != "" {
		if err := r.out.EncodeToken(xml.CharData(text)); err != nil {
			return errCut
		}
	}
	return r.out.EncodeToken(t)
}

// isText reports whether XML can hold a text; what a protected one holds is not bound to that.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff
	})
}

package notify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"

	"writ/internal/fault"
)

// Report is what a mail system says of one receiver of a letter (RFC 3464).
type Report struct {
	Letter  string // the id that it was sent under, from the envelope or from the letter that came back
	Address string // whom it was for
	Action  string // failed, delayed, delivered, relayed or expanded
	Status  string // such as 5.1.1
	Text    string // the words of the host that refused it
	Host    string // which host says so
	Gone    bool   // with it the address counts as unreachable; ReadReport does not know
}

const (
	mostReport  = 1 << 20 // bytes of a report, with the letter that came back
	mostParts   = 10
	mostBlocks  = 50 // receivers
	mostBlock   = 64 << 10
	mostField   = 998
	letterAfter = "@writ" // ends the id of every letter of this house
)

var actions = map[string]bool{"failed": true, "delayed": true, "delivered": true, "relayed": true, "expanded": true}

// ReadReport reads a delivery status notification. A letter of any other kind is
// fault.Invalid: an answer of a person, of a program that is on holiday, a bounce in prose.
func ReadReport(r io.Reader) ([]Report, error) {
	raw, err := io.ReadAll(io.LimitReader(r, mostReport+1))
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	if len(raw) > mostReport {
		return nil, noReport("it is longer than 1 MiB")
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, noReport("it is no letter")
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" { // OpenSMTPD says multipart/mixed; the part below decides
		return nil, noReport("it has no part about a delivery")
	}
	var out []Report
	var back string // the id in the letter that came back
	parts := multipart.NewReader(m.Body, params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) && n > 0 {
			break
		}
		if err != nil || n >= mostParts {
			return nil, noReport("its parts cannot be told apart")
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "message/delivery-status", "message/global-delivery-status":
			if out != nil {
				return nil, noReport("it has two parts about the delivery")
			}
			if out, err = readBlocks(p); err != nil {
				return nil, err
			}
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			if h, _ := readBlock(bufio.NewReader(io.LimitReader(p, mostBlock))); h != nil {
				back = letterID(h.Get("Message-Id"))
			}
		}
	}
	if len(out) == 0 {
		return nil, noReport("it says nothing of a receiver")
	}
	for i := range out {
		if out[i].Letter == "" {
			out[i].Letter = back
		}
	}
	return out, nil
}

func noReport(why string) error {
	return fault.New(fault.Invalid, "report_invalid", fault.Public{Problem: "This is no notice about a delivery: " + why + ".", Expected: "A delivery status notification as a mail server sends it (RFC 3464)."})
}

// readBlocks reads the fields of the letter, and those of each receiver.
func readBlocks(r io.Reader) ([]Report, error) {
	b := bufio.NewReader(io.LimitReader(r, mostBlocks*mostBlock))
	of, err := readBlock(b)
	if err != nil || of == nil {
		return nil, noReport("its fields cannot be read")
	}
	whole := Report{Letter: letterID(of.Get("Original-Envelope-Id")), Host: typed(of.Get("Reporting-Mta"))}
	out := []Report{}
	for {
		h, err := readBlock(b)
		if err != nil || len(out) >= mostBlocks {
			return nil, noReport("its fields cannot be read")
		}
		if h == nil {
			return out, nil
		}
		x := whole
		x.Action = strings.ToLower(strings.TrimSpace(h.Get("Action")))
		x.Status, _, _ = strings.Cut(strings.TrimSpace(h.Get("Status")), " ")
		x.Address = typed(h.Get("Original-Recipient"))
		if x.Address == "" {
			x.Address = typed(h.Get("Final-Recipient"))
		}
		if x.Text = typed(h.Get("Diagnostic-Code")); h.Get("Remote-Mta") != "" {
			x.Host = typed(h.Get("Remote-Mta"))
		}
		if !actions[x.Action] || !goodStatus(x.Status) || x.Address == "" {
			return nil, noReport("a receiver lacks its action, status or address")
		}
		out = append(out, x)
	}
}

// readBlock reads fields until an empty line; nil = there are none left.
func readBlock(b *bufio.Reader) (textproto.MIMEHeader, error) {
	for { // lines between blocks, and after the last
		c, err := b.Peek(1)
		if err != nil {
			return nil, nil //nolint:nilerr // the end
		}
		if c[0] != '\r' && c[0] != '\n' {
			break
		}
		_, _ = b.Discard(1)
	}
	h, err := textproto.NewReader(b).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err //nolint:wrapcheck // nobody sees it
	}
	for k, vs := range h {
		for i, v := range vs {
			h[k][i] = clean(v)
		}
	}
	return h, nil
}

// clean is a value that may be kept and shown.
func clean(v string) string {
	v = strings.ToValidUTF8(v[:min(len(v), mostField)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, v)
}

// typed is the value of a field that begins with its type: rfc822; ana@example.test.
func typed(v string) string {
	_, after, ok := strings.Cut(v, ";")
	if !ok {
		return ""
	}
	return strings.Trim(strings.TrimSpace(after), "<>")
}

// letterID is the id of a letter of this house without its frame; "" = it is somebody else's.
func letterID(v string) string {
	v = strings.Trim(strings.TrimSpace(v), "<>")
	id := strings.TrimSuffix(v, letterAfter)
	for _, c := range []byte(id) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.') {
			return ""
		}
	}
	if len(id) > 100 {
		return ""
	}
	return id
}

// goodStatus reports whether it is three numbers, as of RFC 3463.
func goodStatus(v string) bool {
	class, rest, ok := strings.Cut(v, ".")
	subject, detail, more := strings.Cut(rest, ".")
	if !ok || !more || class != "2" && class != "4" && class != "5" {
		return false
	}
	for _, n := range []string{subject, detail} {
		if len(n) == 0 || len(n) > 3 || strings.Trim(n, "0123456789") != "" {
			return false
		}
	}
	return true
}

// Hard reports whether a status means that the address takes no letters at all. A box that is
// full, a letter that is too big and one whose words are disliked may be otherwise tomorrow.
func Hard(status string) bool {
	class, rest, _ := strings.Cut(status, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	switch {
	case class != "5":
		return false
	case subject == "2":
		return detail != "2" && detail != "3"
	case subject == "3", subject == "6", subject == "7":
		return false
	}
	return true
}

package notify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"unicode"

	"writ/internal/fault"
)

// Letter is what somebody wrote to the address for reports. Nobody has shown that it is theirs who
// is named in it.
type Letter struct {
	From    string     // an address, or ""
	Subject string     // one line
	Text    string     // its plain part
	Addr    netip.Addr // from where this machine's mail server took it, as that one says
}

const (
	mostInbox  = 256 << 10 // bytes of a letter
	mostNested = 3         // of parts in parts
)

// ReadLetter reads the plain part of a letter, and nothing that is attached to it. One that a
// program sent by itself, and one without a plain part, is fault.Invalid.
func ReadLetter(r io.Reader) (Letter, error) { // clause: inc.categorise
	raw, err := io.ReadAll(io.LimitReader(r, mostInbox+1))
	if err != nil {
		return Letter{}, fmt.Errorf("read a letter: %w", err)
	}
	if len(raw) > mostInbox {
		return Letter{}, noLetter("it is longer than 256 KiB")
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Letter{}, noLetter("it is none")
	}
	if byItself(m.Header) {
		return Letter{}, noLetter("a program sent it by itself")
	}
	var l Letter
	if a, err := mail.ParseAddress(m.Header.Get("From")); err == nil {
		l.From = a.Address
	}
	l.Subject = oneLine(m.Header.Get("Subject"))
	l.Addr = handedFrom(m.Header)
	text, ok := plain(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	if !ok {
		return Letter{}, noLetter("it has no plain text")
	}
	l.Text = strings.TrimSpace(text)
	return l, nil
}

func noLetter(why string) error {
	return fault.New(fault.Invalid, "letter_invalid", fault.Public{Problem: "The letter is not taken: " + why + ".", Expected: "Plain text of at most 256 KiB, by a person."})
}

// byItself reports whether a letter is an answer of a program, or of a list (RFC 3834): who answers
// those talks to himself for ever.
func byItself(h mail.Header) bool {
	auto, _, _ := strings.Cut(h.Get("Auto-Submitted"), ";")
	auto = strings.ToLower(strings.TrimSpace(auto))
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list":
		return true
	}
	return auto != "" && auto != "no" || h.Get("List-Id") != "" || strings.TrimSpace(h.Get("Return-Path")) == "<>"
}

func oneLine(v string) string {
	if s, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		v = s
	}
	return clean(v)
}

// An address that a mail server saw stands in brackets, and where it says what the client called
// itself as well, within parentheses: from HELO (NAME [ADDRESS]).
var (
	seenAddress = regexp.MustCompile(`\((?:[^()\[\]]*\s)?\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]`)
	inBrackets  = regexp.MustCompile(`\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]`)
)

// handedFrom is who handed the letter to this machine's mail server: its line is the first one, and
// those below it anybody may have written. What a client calls itself may be an address in brackets
// too, and stands before what the server saw: the last one counts.
func handedFrom(h mail.Header) netip.Addr {
	lines := h["Received"]
	if len(lines) == 0 {
		return netip.Addr{}
	}
	line := lines[0][:min(len(lines[0]), mostField)]
	text := inBrackets.FindStringSubmatch(line)
	if seen := seenAddress.FindAllStringSubmatch(line, -1); seen != nil {
		text = seen[len(seen)-1]
	}
	if text == nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(text[1])
	return a.Unmap()
}

// plain is the first plain text of a part.
func plain(kind, packed string, body io.Reader, deep int) (string, bool) {
	if kind == "" {
		kind = "text/plain"
	}
	of, params, err := mime.ParseMediaType(kind)
	switch {
	case err != nil || deep > mostNested:
		return "", false
	case strings.HasPrefix(of, "multipart/") && params["boundary"] != "":
		parts := multipart.NewReader(body, params["boundary"])
		for range mostParts {
			p, err := parts.NextRawPart()
			if err != nil {
				return "", false
			}
			if d, _, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition")); d == "attachment" {
				continue
			}
			if text, ok := plain(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, deep+1); ok {
				return text, true
			}
		}
		return "", false
	case of != "text/plain":
		return "", false
	}
	switch strings.ToLower(strings.TrimSpace(packed)) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(io.LimitReader(body, mostInbox))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && len(b) == 0 {
		return "", false
	}
	text := string(b)
	if set := strings.ToLower(params["charset"]); set == "iso-8859-1" || set == "windows-1252" { // what old programs still write
		rs := make([]rune, len(b))
		for i, c := range b {
			rs[i] = rune(c)
		}
		text = string(rs)
	}
	return readable(text), true
}

// readable leaves what people read: text and line breaks.
func readable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

package guard

import (
	"bytes"
	"mime"
	"strings"
)

// FormatOf says how bytes of a media type are read. A type that says nothing is read as
// text: digits are digits in any of them.
func FormatOf(contentType string) Format {
	kind := contentType
	if i := strings.IndexByte(kind, ';'); i >= 0 {
		kind = kind[:i]
	}
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch {
	case kind == "application/x-www-form-urlencoded":
		return Form
	case kind == "application/json", kind == "text/event-stream", strings.HasSuffix(kind, "+json"), kind == "application/x-ndjson", kind == "application/jsonl", kind == "application/json-seq":
		return JSON
	case strings.HasSuffix(kind, "javascript"), kind == "text/css":
		return Code
	case strings.HasPrefix(kind, "image/svg"):
		return Text
	case strings.HasPrefix(kind, "image/"), strings.HasPrefix(kind, "audio/"), strings.HasPrefix(kind, "video/"), strings.HasPrefix(kind, "font/"), closed[kind],
		strings.HasPrefix(kind, "application/vnd.openxmlformats-"), strings.HasPrefix(kind, "application/vnd.oasis."), strings.HasPrefix(kind, "application/grpc"):
		return Other
	}
	return Text
}

// Opened reports whether files of a media type are looked into, though they are no text.
func Opened(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/pdf" || kind == "application/zip" || strings.HasPrefix(kind, "application/vnd.openxmlformats-") || strings.HasPrefix(kind, "application/vnd.oasis.")
}

// closed are types whose content is packed. application/vnd.ms-excel is not among them: it
// is what some browsers say of CSV.
var closed = map[string]bool{
	"application/pdf": true, "application/zip": true, "application/gzip": true, "application/x-gzip": true, "application/x-tar": true, "application/x-7z-compressed": true,
	"application/wasm": true, "application/msword": true, "application/vnd.ms-powerpoint": true, "application/x-bzip2": true, "application/zstd": true, "application/vnd.rar": true,
}

// Readable reports whether an answer of a media type is text: what it cannot read, the guard
// leaves alone.
func Readable(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return FormatOf(kind) != Other && kind != "application/octet-stream" && (kind == "" || strings.HasPrefix(kind, "text/") || FormatOf(kind) != Text ||
		strings.HasSuffix(kind, "xml") || strings.HasSuffix(kind, "yaml") || kind == "application/csv" || kind == "application/graphql" || kind == "application/rtf")
}

const mostMagic = 8 // bytes by which a file is known

// Packed reports whether bytes begin as a file does that is not looked into.
func Packed(b []byte) bool {
	for _, head := range []string{"PK\x03\x04", "%PDF-", "\xd0\xcf\x11\xe0", "\x1f\x8b", "\x89PNG", "\xff\xd8\xff", "7z\xbc\xaf", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(b, []byte(head)) {
			return true
		}
	}
	return false
}

// Boundary is what parts the bodies of a multipart type; "" = it is none.
func Boundary(contentType string) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") || len(params["boundary"]) > 70 {
		return ""
	}
	return params["boundary"]
}

// message is the format of one message that says nothing of it.
func message(b []byte) Format {
	if b = bytes.TrimLeft(b, " \t\r\n"); len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		return JSON
	}
	return Text
}

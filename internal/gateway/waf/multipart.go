package waf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"sync"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// register puts our reader of bodies in parts in the place of the engine's, which writes
// every uploaded file to the temporary folder in clear; a build tag would forbid that only
// in the builds that have it. And it makes the screen's operator known.
var register = sync.OnceFunc(func() {
	groups.all = map[string]*matcher{}
	registerScreen()
	plugins.RegisterBodyProcessor("multipart", func() plugintypes.BodyProcessor { return parts{} })
})

// held are the bodies in parts that are being looked at, by transaction: the engine's own
// buffer is no larger than what fits the limit of other bodies.
var held sync.Map

// InParts reports whether a body of that type comes in parts, of which files are not looked at.
func InParts(contentType string) bool {
	return hasPrefixFold(strings.TrimSpace(contentType), "multipart/form-data")
}

// IsFile reports whether a body of that type is a file: bytes that no rule can read.
func IsFile(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch kind {
	case "application/octet-stream", "application/pdf", "application/zip", "application/gzip", "text/csv":
		return true
	}
	return strings.HasPrefix(kind, "image/") && kind != "image/svg+xml" || strings.HasPrefix(kind, "video/") || strings.HasPrefix(kind, "audio/")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// parts implements plugintypes.BodyProcessor.
type parts struct{}

var errParts = errors.New("waf: body in parts cannot be read")

// maxParts bounds the work of one body; the descriptions have the same bound.
const maxParts = 100

// ProcessRequest tells the rules names, headers and fields. Of files it reads nothing but their length.
func (parts) ProcessRequest(_ io.Reader, v plugintypes.TransactionVariables, o plugintypes.BodyProcessorOptions) error {
	b, _ := held.Load(v.UniqueID().Get())
	body, _ := b.([]byte)
	kind, params, err := mime.ParseMediaType(o.Mime)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return unclear(v, errParts)
	}
	in := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	total := 0
	for n := 0; ; n++ {
		p, err := in.NextRawPart() // what the transfer encoding says is the application's to believe
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || n == maxParts {
			return unclear(v, errParts)
		}
		size, err := readPart(p, v)
		total += size
		set(v.FilesCombinedSize(), strconv.Itoa(total))
		if err != nil {
			return unclear(v, err)
		}
	}
}

// unclear makes the rules refuse a body that two readers could read differently.
func unclear(v plugintypes.TransactionVariables, err error) error {
	set(v.MultipartStrictError(), "1")
	return err
}

func set(to any, value string) {
	to.(interface{ Set(string) }).Set(value) //nolint:forcetypeassert // all single variables of the engine are so
}

func readPart(p *multipart.Part, v plugintypes.TransactionVariables) (int, error) {
	disposition, dispositionErr := mediaParams(p.Header.Get("Content-Disposition"))
	name := disposition["name"]
	for key, values := range p.Header {
		if len(values) > 1 {
			dispositionErr = errParts
		}
		for _, value := range values {
			v.MultipartPartHeaders().Add(name, fmt.Sprintf("%s: %s", key, value))
		}
	}
	v.MultipartName().Add(name, name)
	if dispositionErr != nil {
		set(v.MultipartStrictError(), "1") // and the rest is read all the same
	}
	files := fileNames(p.Header.Get("Content-Disposition"), disposition["filename"])
	if len(files) == 0 {
		b, err := io.ReadAll(io.LimitReader(p, MaxBody+1))
		if err == nil && len(b) > MaxBody {
			err = errParts
		}
		v.ArgsPost().Add(name, string(b))
		return len(b), err //nolint:wrapcheck // it says no more than that
	}
	size, err := io.Copy(io.Discard, p)
	for _, f := range files {
		v.MultipartFilename().Add(name, f)
		v.Files().Add("", f)
		v.FilesSizes().SetIndex(f, 0, strconv.FormatInt(size, 10))
	}
	v.FilesNames().Add("", name)
	return int(size), err //nolint:wrapcheck // it says no more than that
}

// mediaParams reads a header such as form-data; name="a". A missing one says nothing and is no fault.
func mediaParams(header string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	_, params, err := mime.ParseMediaType(header)
	return params, err //nolint:wrapcheck // only whether there is one counts
}

// fileNames are all names that a reader may take a part's file for. An encoded name (RFC
// 5987) stands beside the plain one: which counts is the application's choice.
func fileNames(header, read string) []string {
	var all []string
	if read != "" {
		all = append(all, read)
	}
	for param := range strings.SplitSeq(header, ";") {
		key, value, ok := strings.Cut(param, "=")
		if key = strings.ToLower(strings.TrimSpace(key)); !ok || !strings.HasPrefix(key, "filename") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if value != "" && value != read {
			all = append(all, value)
		}
	}
	return all
}

// ProcessResponse does nothing: answers are not sent in parts.
func (parts) ProcessResponse(io.Reader, plugintypes.TransactionVariables, plugintypes.BodyProcessorOptions) error {
	return nil
}

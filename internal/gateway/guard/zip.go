package guard

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
)

// zip looks into an archive; office files are such. It reads what the directory at its end
// lists, as programs do.
func (x *inside) zip(b []byte, depth int) {
	if x.files += bytes.Count(b, []byte("PK\x01\x02")); x.files > mostInside {
		x.closed = true
		return
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		x.closed = true
		return
	}
	for _, f := range z.File {
		if x.enough() {
			return
		}
		if f.Flags&1 != 0 { // encrypted
			x.closed = true
			continue
		}
		x.entry(f, depth)
	}
}

// inner are files within an archive that are no text and need not be looked into: pictures,
// fonts and the like.
var inner = map[string]bool{".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".bmp": true, ".tif": true, ".tiff": true, ".emf": true, ".wmf": true, ".webp": true,
	".ttf": true, ".otf": true, ".odttf": true, ".fntdata": true, ".mp3": true, ".mp4": true, ".wav": true, ".m4a": true, ".mov": true}

func (x *inside) entry(f *zip.File, depth int) {
	if strings.HasSuffix(f.Name, "/") {
		return
	}
	r, err := f.Open()
	if err != nil {
		x.closed = true
		return
	}
	defer func() { _ = r.Close() }() // what is wrong with it was seen
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if head = head[:n]; err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		x.closed = true
		return
	}
	all := io.MultiReader(bytes.NewReader(head), r)
	if !Packed(head) && bytes.IndexByte(head, 0) < 0 {
		x.read(all, f.Name, bytes.Contains(head, []byte("<")))
		return
	}
	if inner[strings.ToLower(path.Ext(f.Name))] && !Opens(head) {
		return
	}
	whole, err := io.ReadAll(io.LimitReader(all, min(mostInner, x.left)+1))
	if x.left -= int64(len(whole)); err != nil || len(whole) > mostInner || x.left < 0 {
		x.closed = true
		return
	}
	x.look(whole, f.Name, depth+1)
}

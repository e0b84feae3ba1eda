package guard_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"writ/internal/gateway/guard"
)

// archive packs files, named and filled in turns.
func archive(all ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(all); i += 2 {
		w, _ := z.Create(all[i])
		io.WriteString(w, all[i+1])
	}
	z.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// document is a PDF with a page that shows what a stream says, and further objects.
func document(dict, stream string, more ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n3 0 obj\n<< /Type /Page /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>\nendobj\n4 0 obj\n<< /Length %d %s >>\nstream\n%s\nendstream\nendobj\n", len(stream), dict, stream)
	for i, m := range more {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", 5+i, m)
	}
	return b.String() + "trailer\n<< /Root 1 0 R >>\n%%EOF\n"
}

func eightyfive(s string) string {
	var b bytes.Buffer
	w := ascii85.NewEncoder(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String() + "~>"
}

const (
	flate    = "/Filter /FlateDecode"
	word     = `<?xml version="1.0"?><w:document xmlns:w="x"><w:body><w:p><w:r><w:t>Card 4111 11</w:t></w:r><w:r w:rsidR="00A77B3E"><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">11 1111 1111</w:t></w:r></w:p></w:body></w:document>`
	apart    = `<w:document><w:p><w:t>4111 1111</w:t></w:p><w:p><w:t>1111 1111</w:t></w:p></w:document>`
	numbered = "<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 6 0 R >>"
	unicode  = "begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfchar <0003> <0020> endbfchar 1 beginbfrange <0013> <001C> <0030> endbfrange endcmap"
)

// shapes are digits as the numbers of a font's shapes.
func shapes(digits string) string {
	var b strings.Builder
	for _, c := range digits {
		if n := 0x13 + int(c-'0'); c == ' ' {
			b.WriteString("0003")
		} else {
			fmt.Fprintf(&b, "%04x", n)
		}
	}
	return "<" + b.String() + ">"
}

func stream(s string) string {
	return fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(s), s)
}

// Numbers are found in office files, archives and PDFs, as their readers see them.
func TestFiles(t *testing.T) { // breaks: data.no-card
	real, err := os.ReadFile("testdata/order.pdf") // printed by a browser
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, 0, 10_000)
	for i := range 5000 {
		many = append(many, fmt.Sprint(i), "x")
	}
	locked := []byte(archive("a.txt", "4111 1111 1111 1111 and much more of it"))
	for at := 0; ; at++ { // the bit that says so, in the directory at the end
		if bytes.HasPrefix(locked[at:], []byte("PK\x01\x02")) {
			locked[at+8] |= 1
			break
		}
	}
	for name, c := range map[string]struct {
		file, found string // class and field
		unread      bool
	}{
		"text cut into runs":          {file: archive("[Content_Types].xml", "<Types/>", "word/document.xml", word), found: "card document.xml"},
		"two paragraphs":              {file: archive("word/document.xml", apart)},
		"a table's strings":           {file: archive("xl/sharedStrings.xml", `<sst><si><t>4111 1111 1111 1111</t></si></sst>`), found: "card sharedStrings.xml"},
		"a table's number":            {file: archive("xl/worksheets/sheet1.xml", `<worksheet><c r="A1"><v>378282246310005</v></c></worksheet>`), found: "card sheet1.xml"},
		"cells side by side":          {file: archive("xl/worksheets/sheet1.xml", `<worksheet><c r="A1"><v>41111111</v></c><c r="B1"><v>11111111</v></c></worksheet>`)},
		"an attribute":                {file: archive("content.xml", `<office:document><table:table-cell office:value="4111111111111111"/></office:document>`), found: "card content.xml"},
		"an escaped digit":            {file: archive("word/document.xml", `<w:t>&#52;111111111111111</w:t>`), found: "card document.xml"},
		"a number of social security": {file: archive("a.txt", "ssn 219-09-9998"), found: "ssn a.txt"},
		"a file in a file":            {file: archive("word/embeddings/list.xlsx", archive("xl/sharedStrings.xml", `<si><t>4111111111111111</t></si>`)), found: "card sharedStrings.xml"},
		"a PDF in an archive":         {file: archive("order", document(flate, deflated("BT (4111111111111111) Tj ET"))), found: "card order"},
		"a picture in it":             {file: archive("word/media/logo.png", "\x89PNG\r\n\x1a\n4111 1111 1111 1111")},
		"what is no picture":          {file: archive("word/vbaProject.bin", "\xd0\xcf\x11\xe0 and so on"), unread: true},
		"an encrypted one":            {file: string(locked), unread: true},
		"one without its end":         {file: archive("a.txt", "4111111111111111")[:50], unread: true},
		"one that grows":              {file: archive("a.txt", strings.Repeat("x", 65<<20)), unread: true},
		"one of many":                 {file: archive(many...), unread: true},
		"one in one in one":           {file: archive("a", archive("b", archive("c", archive("d", archive("e", "4111111111111111"))))), unread: true},
		"text behind a false head":    {file: "PK\x03\x04 4111 1111 1111 1111", found: "card file", unread: true},
		"printed by a browser":        {file: string(real), found: "card pdf"},
		"a stream":                    {file: document("", "BT /F1 12 Tf 72 700 Td (Card 4111 1111 1111 1111) Tj ET"), found: "card pdf"},
		"a packed stream":             {file: document(flate, deflated("BT (4111) Tj ( 1111) Tj ( 1111 1111) Tj ET")), found: "card pdf"},
		"packed twice":                {file: document("/Filter [/ASCII85Decode /FlateDecode]", eightyfive(deflated("BT (4111111111111111) Tj ET"))), found: "card pdf"},
		"hexadecimal":                 {file: document("", "BT <343131312031313131203131313120313131 31> Tj ET"), found: "card pdf"},
		"with kerning":                {file: document("", "BT [(41) -20 (11) 15 (1111) -250 (1111) (1111)] TJ ET"), found: "card pdf"},
		"digit by digit":              {file: document("", "BT /F1 10 Tf 1 0 0 1 72 700 Tm"+strings.Repeat(" (4) Tj 5.5 0 Td", 1)+strings.Repeat(" (1) Tj 5.5 0 Td", 15)+" ET"), found: "card pdf"},
		"columns":                     {file: document("", "BT /F1 10 Tf 72 700 Td (41111111) Tj 90 0 Td (11111111) Tj 90 0 Td (17) Tj ET")},
		"lines":                       {file: document("", "BT /F1 10 Tf 72 700 Td (41111111) Tj 0 -12 Td (11111111) Tj ET")},
		"octal":                       {file: document("", `BT (\064111111111111111) Tj ET`), found: "card pdf"},
		"numbers of shapes":           {file: document(flate, deflated("BT /F1 12 Tf "+shapes("4111 1111 1111 1111")+" Tj ET"), numbered, stream(unicode)), found: "card pdf"},
		"shapes without a map":        {file: document(flate, deflated("BT /F1 12 Tf "+shapes("4111 1111 1111 1111")+" Tj ET"), strings.Replace(numbered, "/ToUnicode 6 0 R", "", 1)), unread: true},
		"a form's field":              {file: document("", "q Q", "<< /FT /Tx /V (4111111111111111) >>"), found: "card pdf"},
		"a field in UTF-16":           {file: document("", "q Q", "<< /FT /Tx /V <FEFF"+strings.ToUpper(fmt.Sprintf("%x", "\x004\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001"))+"> >>"), found: "card pdf"},
		"a packed object":             {file: document("", "q Q", fmt.Sprintf("<< /Type /ObjStm /N 1 /First 5 %s /Length %d >>\nstream\n%s\nendstream", flate, len(deflated("9 0 \n<< /V (4111111111111111) >>")), deflated("9 0 \n<< /V (4111111111111111) >>"))), found: "card pdf"},
		"an encrypted PDF":            {file: document("", "q Q") + "trailer << /Encrypt 9 0 R >>", unread: true},
		"a strange filter":            {file: document("/Filter /LZWDecode", "\x80\x0b\x60"), unread: true},
		"no PDF at all":               {file: "%PDF-1.7 and nothing", unread: true},
	} {
		for _, n := range []int{1000, 1 << 30} {
			if n == 1000 && len(c.file) > 100_000 {
				continue
			}
			var found string
			unread := false
			s := guard.NewWhole("application/octet-stream", guard.Rules{Do: [2]guard.Action{guard.Mask, guard.Stop}}, func(f guard.Find) {
				if found = f.Class.String() + " " + f.Field; !f.File {
					t.Errorf("%s: a find that could be masked", name)
				}
			}, guard.Files{Unread: func(string) { unread = true }})
			out := through(s, c.file, min(n, len(c.file)))
			if found != c.found || unread != c.unread || s.Stopped() != (c.found != "") {
				t.Errorf("%s: found %q, want %q; unread %v; stopped %v", name, found, c.found, unread, s.Stopped())
			}
			if c.found == "" && out != c.file || c.found != "" && out != "" {
				t.Errorf("%s: %d of %d bytes came out", name, len(out), len(c.file))
			}
		}
	}
}

// A part of a body that is a file is looked into like one, under its field's name; one that is
// too long passes, and that is said; one for which there is no room does not pass.
func TestFilesInParts(t *testing.T) { // breaks: data.no-card
	body := func(kind, file string) string {
		return "--b-1\r\nContent-Disposition: form-data; name=\"order\"; filename=\"o\"\r\nContent-Type: " + kind + "\r\n\r\n" + file + "\r\n--b-1\r\nContent-Disposition: form-data; name=\"after\"\r\n\r\nplain text\r\n--b-1--\r\n"
	}
	stop := guard.Rules{Do: [2]guard.Action{guard.Stop, guard.Count}}
	office := archive("word/document.xml", word)
	for name, c := range map[string]struct {
		body, found string
		unread      int
		room        int
		passes      bool
	}{
		"an office file":      {body: body("application/vnd.openxmlformats-officedocument.wordprocessingml.document", office), found: "card order", room: 1 << 30},
		"of no type":          {body: body("application/octet-stream", office), found: "card order", room: 1 << 30},
		"a PDF":               {body: body("application/pdf", document(flate, deflated("BT (4111111111111111) Tj ET"))), found: "card order", room: 1 << 30},
		"a harmless one":      {body: body("application/pdf", document(flate, deflated("BT (17) Tj ET"))), room: 1 << 30, passes: true},
		"a type that is none": {body: body("application/pdf", "no such thing"), unread: 1, room: 1 << 30, passes: true},
		"too long":            {body: body("application/zip", "PK\x03\x04"+strings.Repeat("x", guard.MostFile)), unread: 1, room: 1 << 30, passes: true},
		"no room":             {body: body("application/pdf", document(flate, deflated("BT (17) Tj ET"))), room: 100},
	} {
		var found string
		unread := 0
		p := guard.NewParts("b-1", stop, func(f guard.Find) { found = f.Class.String() + " " + f.Field },
			guard.Files{Unread: func(string) { unread++ }, Room: func(n int) bool { c.room -= n; return c.room >= 0 }})
		out := through(p, c.body, 30_000)
		if found != c.found || unread != c.unread || p.Stopped() == c.passes || c.passes && out != c.body {
			t.Errorf("%s: found %q, unread %d, stopped %v, %d of %d bytes came out", name, found, unread, p.Stopped(), len(out), len(c.body))
		}
	}
}

// Whatever a file holds, looking into it ends, and what passes is what came.
func FuzzFiles(f *testing.F) {
	f.Add(archive("word/document.xml", word))
	f.Add(document(flate, deflated("BT /F1 12 Tf "+shapes("4111 1111 1111 1111")+" Tj ET"), numbered, stream(unicode)))
	f.Add(document("", "BT [(41) -20 (11)] TJ <41> Tj (\\064) ' ET", "<< /Type /ObjStm /N 1 /First 4 /Length 9 >>\nstream\n9 0 <<>>\nendstream"))
	f.Fuzz(func(t *testing.T, file string) {
		for _, head := range []string{"", "%PDF-"} {
			s := guard.NewWhole("application/pdf", guard.Rules{Do: [2]guard.Action{guard.Count, guard.Count}}, nil, guard.Files{})
			if out := through(s, head+file, len(head+file)+1); out != head+file {
				t.Fatalf("%q became %q", head+file, out)
			}
		}
	})
}

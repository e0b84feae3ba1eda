package bring_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/kdbx"
	"writ/internal/secret"
	"writ/internal/vault/item/bring"
)

// archive is a zip of some files.
func archive(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		f, err := z.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const puxData = `{"accounts":[{"attrs":{"accountName":"x"},"vaults":[{"attrs":{"name":"Finance"},"items":[
{"uuid":"a","state":"active","categoryUuid":"001","overview":{"title":"Elm Bank","url":"https://elmbank.example","urls":[{"label":"site","url":"https://elmbank.example"},{"url":"https://m.elmbank.example"}]},
 "details":{"loginFields":[{"value":"treasury","designation":"username"},{"value":"plum 71","designation":"password"},{"value":"9","name":"branch"}],"notesPlain":"call Ilse","sections":[{"title":"Security","fields":[
  {"title":"one-time password","value":{"totp":"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}},{"title":"PIN","value":{"concealed":"4711"}},{"title":"since","value":{"date":1700000000}}]}]}},
{"uuid":"b","state":"active","categoryUuid":"003","overview":{"title":"Alarm"},"details":{"notesPlain":"the code"}},
{"uuid":"c","state":"active","categoryUuid":"002","overview":{"title":"Card"},"details":{"sections":[]}},
{"uuid":"d","state":"active","categoryUuid":"112","overview":{"title":"Mail API"},"details":{"sections":[{"title":"","fields":[{"title":"credential","value":{"concealed":"sk-1"}}]}]}},
{"uuid":"h","state":"active","categoryUuid":"112","overview":{"title":"Key of old"},"details":{"password":"sk-0","sections":[]}},
{"uuid":"i","state":"active","categoryUuid":"001","overview":{"title":"Shop"},"details":{"sections":[{"title":"","fields":[{"title":"number","value":{"creditCardNumber":""}}]},{"title":"","fields":[{"title":"number","value":{"creditCardNumber":"4111111111111111"}}]}]}},
{"uuid":"j","state":"active","categoryUuid":"001","overview":{"title":"No number"},"details":{"sections":[{"title":"","fields":[{"title":"number","value":{"creditCardNumber":""}}]}]}},
{"uuid":"e","state":"archived","categoryUuid":"001","overview":{"title":"Old"},"details":{}},
{"uuid":"f","state":"active","categoryUuid":"114","overview":{"title":"Deploy"},"details":{"sections":[{"title":"","fields":[{"title":"private key","value":{"sshKey":{"privateKey":"-----BEGIN","metadata":{}}}}]}]}},
{"uuid":"g","state":"active","categoryUuid":"006","overview":{"title":"Contract"},"details":{"documentAttributes":{"fileName":"c.pdf","documentId":"doc1","decryptedSize":8},"sections":[{"title":"","fields":[{"title":"also","value":{"file":{"fileName":"d.pdf","documentId":"doc2"}}},{"title":"gone","value":{"file":{"fileName":"e.pdf","documentId":"doc9"}}},{"title":"again","value":{"file":{"fileName":"f.pdf","documentId":"doc1"}}}]}]}}]}]}]}`

const bitwardenData = `{"encrypted":false,"folders":[{"id":"f1","name":"Finance"}],"items":[
{"type":1,"name":"Elm Bank","folderId":"f1","notes":"call Ilse","fields":[{"name":"PIN","value":"4711","type":1},{"name":"branch","value":"9","type":0}],"login":{"uris":[{"match":null,"uri":"https://elmbank.example"}],"username":"treasury","password":"plum 71","totp":"JBSWY3DPEHPK3PXP"}},
{"type":2,"name":"Alarm","notes":"the code","secureNote":{"type":0}},
{"type":3,"name":"Card","card":{"number":"4111111111111111"}},
{"type":4,"name":"Me","identity":{}},
{"type":1,"name":"Gone","deletedDate":"2026-01-01T00:00:00Z","login":{}},
{"type":5,"name":"Deploy","sshKey":{"privateKey":"-----BEGIN","publicKey":"ssh-ed25519 A"}}]}`

const keepassData = `<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<KeePassFile><Meta><Generator>KeePass</Generator><RecycleBinUUID>gggggggggggggggggggggg==</RecycleBinUUID><Binaries><Binary ID="0">aGVsbG8gZmlsZQ==</Binary><Binary ID="1" Compressed="True">H4sIAAAAAAACA8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==</Binary></Binaries></Meta><Root><Group><UUID>x</UUID><Name>Database</Name>
<Group><Name>Finance</Name><Entry><String><Key>Title</Key><Value>Elm Bank</Value></String><String><Key>UserName</Key><Value>treasury</Value></String>
<String><Key>Password</Key><Value ProtectInMemory="True">plum &amp; 71</Value></String><String><Key>URL</Key><Value>https://elmbank.example</Value></String><String><Key>Notes</Key><Value>call Ilse</Value></String>
<String><Key>PIN</Key><Value ProtectInMemory="True">4711</Value></String><String><Key>TimeOtp-Secret-Base32</Key><Value>JBSW Y3DP EHPK 3PXP</Value></String><String><Key>TimeOtp-Algorithm</Key><Value>HMAC-SHA-256</Value></String>
<Binary><Key>c.pdf</Key><Value Ref="0"/></Binary><Binary><Key>d.pdf</Key><Value Ref="1"/></Binary><Binary><Key>e.pdf</Key><Value>d2l0aGlu</Value></Binary><Binary><Key>f.pdf</Key><Value Ref="7"/></Binary><Tags>bank;money</Tags>
<History><Entry><String><Key>Title</Key><Value>Former</Value></String></Entry></History></Entry></Group>
<Group><Name>Recycle Bin</Name><Entry><String><Key>Title</Key><Value>Gone</Value></String></Entry></Group>
<Group><UUID>gggggggggggggggggggggg==</UUID><Name>Papierkorb</Name><Group><UUID>hhhhhhhhhhhhhhhhhhhhhh==</UUID><Entry><String><Key>Title</Key><Value>Gone too</Value></String></Entry></Group></Group>
<Entry><String><Key>Title</Key><Value>Other</Value></String><String><Key>Password</Key><Value>{REF:P@I:46C9B1FFBD4ABC4BBB260C6190BAD20C}</Value></String></Entry>
<Entry><String><Key>Title</Key><Value>Odd</Value></String><String><Key>Password</Key><Value NotText="True"/></String></Entry>
</Group></Root></KeePassFile>`

func shown(r bring.Row) string {
	out := fmt.Sprintf("%d %s %q in %q", r.N, r.Kind, r.Title, r.Folder)
	if r.Problem != "" {
		return out + " ✗ " + r.Problem
	}
	out += fmt.Sprintf(" %v %s", r.URLs, r.User)
	for _, f := range []string{"password", "totp", "notes", "key", "private", "text"} {
		if t, ok := r.Secrets[f]; ok {
			out += " " + f + "=" + t.Reveal()
		}
	}
	for _, m := range r.More {
		out += fmt.Sprintf(" +%s(%v)=%s", m.Label, m.Secret, m.Value.Reveal())
	}
	for _, told := range r.Told {
		out += " ! " + told
	}
	for _, f := range r.Files {
		out += " @" + f.Name + "=" + string(f.Body.Reveal())
	}
	return out
}

func TestRead(t *testing.T) {
	bank := func(n int, more string) string {
		return fmt.Sprintf(`%d login "Elm Bank" in "Finance" [https://elmbank.example`, n) + more
	}
	for _, c := range []struct {
		name, source string
		file         []byte
		want         []string
	}{
		{"1PUX", "1password-1pux", archive("export.attributes", "{}", "files/doc1__c.pdf", "the file", "files/doc2__d.pdf", "another", "export.data", puxData), []string{
			bank(1, ` https://m.elmbank.example] treasury password=plum 71 totp=otpauth://totp/x?secret=JBSWY3DPEHPK3PXP notes=call Ilse +branch(true)=9 +Security: PIN(true)=4711 ! "Security: since" is left out: it is no text`),
			`2 note "Alarm" in "Finance" []  text=the code`, `3 login "Card" in "Finance" ✗ it is a payment card, and no card data is kept`, `4 api-key "Mail API" in "Finance" []  key=sk-1`,
			`5 api-key "Key of old" in "Finance" []  key=sk-0`, `6 login "Shop" in "Finance" ✗ it holds a payment card, and no card data is kept`, `7 login "No number" in "Finance" [] `,
			`8 login "Old" in "Finance" ✗ it is archived there`, `9 ssh-key "Deploy" in "Finance" []  private=-----BEGIN`, `10 document "Contract" in "Finance" []  @c.pdf=the file @d.pdf=another @e.pdf= @f.pdf=the file`}},
		{"1Password CSV", "1password-csv", []byte("Title,Url,Username,Password,OTPAuth,Favorite,Archived,Tags,Notes\nElm Bank,https://elmbank.example,treasury,\"plum, 71\",,false,false,Finance,call Ilse\n"),
			[]string{bank(1, `] treasury password=plum, 71 notes=call Ilse`)}},
		{"Bitwarden JSON", "bitwarden-json", []byte(bitwardenData), []string{
			bank(1, `] treasury password=plum 71 totp=JBSWY3DPEHPK3PXP notes=call Ilse +PIN(true)=4711 +branch(false)=9`), `2 note "Alarm" in "" []  text=the code`,
			`3 login "Card" in "" ✗ it is a payment card, and no card data is kept`, `4 login "Me" in "" ✗ it is a person's identity, which has no place in a company's vault`, `5 login "Gone" in "" ✗ it is deleted there`,
			`6 ssh-key "Deploy" in "" []  private=-----BEGIN +Public key(false)=ssh-ed25519 A`}},
		{"Bitwarden CSV", "bitwarden-csv", []byte("folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\nFinance,,login,Elm Bank,call Ilse,\"PIN: 4711\nbranch: 9\",0,https://elmbank.example,treasury,plum 71,\n,,note,Alarm,the code,,0,,,,\n"),
			[]string{bank(1, `] treasury password=plum 71 notes=call Ilse +PIN(true)=4711 +branch(true)=9`), `2 note "Alarm" in "" []  text=the code`}},
		{"KeePass", "keepass-xml", []byte(keepassData), []string{
			bank(1, `] treasury password=plum & 71 totp=otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&algorithm=SHA-256 notes=call Ilse +PIN(true)=4711 +Tags(false)=bank, money @c.pdf=hello file @d.pdf=hello world @e.pdf=within @f.pdf=`),
			`2 login "Gone" in "Recycle Bin" ✗ it is in the recycle bin there`, `3 login "Gone too" in "Papierkorb" ✗ it is in the recycle bin there`,
			`4 login "Other" in "" []  password={REF:P@I:46C9B1FFBD4ABC4BBB260C6190BAD20C} ! a field of it stands for another entry's: write the value into it by hand`, `5 login "Odd" in "" ✗ a value is not text`}},
		{"Chrome", "browser-csv", []byte("\xef\xbb\xbfname,url,username,password,note\nelmbank.example,https://elmbank.example/login,treasury,plum 71,\n,https://post.example/x,,\"two\nlines\",\n,,,,\na,b,c,d,e,f\n"),
			[]string{`1 login "elmbank.example" in "" [https://elmbank.example/login] treasury password=plum 71`, "2 login \"post.example\" in \"\" [https://post.example/x]  password=two\nlines",
				`3 login "" in "" ✗ it has no title, no address and no user`, `4 login "" in "" ✗ it has more columns than the first line names`}},
		{"Firefox", "browser-csv", []byte(`"url","username","password","httpRealm","formActionOrigin","guid","timeCreated","timeLastUsed","timePasswordChanged"` + "\n" + `"https://elmbank.example","treasury","plum 71",,"https://elmbank.example","{x}","1","2","3"` + "\n"),
			[]string{`1 login "elmbank.example" in "" [https://elmbank.example] treasury password=plum 71`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, source := range []string{"", c.source} { // seen from the file, and named
				was, rows, err := bring.Read(source, c.file, kdbx.Key{})
				if err != nil || was != c.source {
					t.Fatalf("%q read as %q: %v", source, was, err)
				}
				var got []string
				for _, r := range rows {
					got = append(got, shown(r))
				}
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// Whatever KeePass calls the seed of codes, it becomes no field that can be revealed; nor is
// any other text of its own shown to everybody.
//
// breaks: vault.company-creds
func TestKeePassSeeds(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{"TimeOtp-Secret=12345678901234567890", "totp=otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
		{"TimeOtp-Secret-Hex=3132333435363738393031323334353637383930,TimeOtp-Length=8", "totp=otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8"},
		{"TimeOtp-Secret-Base64=MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "totp=otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
		{"TOTP Seed=GEZD GNBV GY3T QOJQ,TOTP Settings=60;8", "totp=otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=8&period=60"},
		{"TimeOtp-Secret-Hex=zz", "! what its one-time codes are made of is left out"},
		{"HmacOtp-Secret-Base32=GEZDGNBVGY3TQOJQ,HmacOtp-Counter=3", "! what its one-time codes are made of is left out"},
		{"branch=9", "+branch(true)=9"},
	} {
		file := `<KeePassFile><Root><Group><Entry><String><Key>Title</Key><Value>x</Value></String>`
		for _, f := range strings.Split(c.fields, ",") {
			k, v, _ := strings.Cut(f, "=")
			file += "<String><Key>" + k + "</Key><Value>" + v + "</Value></String>"
		}
		_, rows, err := bring.Read("keepass-xml", []byte(file+`</Entry></Group></Root></KeePassFile>`), kdbx.Key{})
		if err != nil || !strings.HasSuffix(strings.Split(shown(rows[0]), ": only")[0], " "+c.want) || strings.Count(shown(rows[0]), "+") > strings.Count(c.want, "+") {
			t.Errorf("%s: %v %v", c.fields, rows, err)
		}
	}
}

// bomb is an archive whose one file says that it is small, or that is large indeed.
func bomb() []byte { return archive("export.data", strings.Repeat("0", 65<<20)) }

func lying() []byte {
	b := bomb()
	var size [4]byte
	size[0], size[3] = 0, 4 // 64 MiB + 1 MiB, as the directory writes it
	i := bytes.LastIndex(b, []byte("PK\x01\x02"))
	copy(b[i+24:], []byte{10, 0, 0, 0})
	return b
}

func TestRefused(t *testing.T) {
	deep := "<KeePassFile>" + strings.Repeat("<Group>", 100)
	for name, c := range map[string]struct {
		source string
		file   []byte
		says   string
	}{
		"empty":                   {"", nil, "empty, or larger"},
		"too large":               {"", make([]byte, bring.MaxFile+1), "empty, or larger"},
		"unknown":                 {"lastpass", []byte("x"), "is not known"},
		"no archive":              {"1password-1pux", []byte("PK\x03\x04 and nothing"), "no archive"},
		"no data in it":           {"", archive("else", "{}"), "no export.data"},
		"a path up":               {"", archive("../../export.data", puxData, "export.data", puxData), "leads out of it"},
		"a path from the top":     {"", archive("/etc/passwd", "x", "export.data", puxData), "leads out of it"},
		"a path of another world": {"", archive(`..\x`, "x", "export.data", puxData), "leads out of it"},
		"a bomb":                  {"", bomb(), "grows too large"},
		"a bomb that lies":        {"", lying(), "cannot be read, or grows too large"},
		"no JSON in it":           {"", archive("export.data", "not json"), "not the JSON of 1Password"},
		"encrypted":               {"", []byte(`{"encrypted":true,"items":[]}`), "encrypted"},
		"no items":                {"", []byte(`{"items":[]}`), "nothing that could come over"},
		"no JSON":                 {"", []byte(`{`), "not the JSON of Bitwarden"},
		"entities":                {"", []byte(`<!DOCTYPE x [<!ENTITY a "b">]><KeePassFile>&a;</KeePassFile>`), "DOCTYPE"},
		"own entity":              {"", []byte(`<KeePassFile><Root>&a;</Root></KeePassFile>`), "not the XML"},
		"cut off":                 {"", []byte(keepassData[:len(keepassData)-20]), "not the XML"},
		"another XML":             {"", []byte(`<html></html>`), "not the XML"},
		"deep":                    {"", []byte(deep), "nested too deeply"},
		"no head":                 {"", []byte("a,b\n1,2\n"), "names no column"},
		"open quote":              {"", []byte("url,password\nx,\"y\n"), "Line 2"},
		"many":                    {"", []byte("url,password\n" + strings.Repeat("x.example,y\n", bring.MaxRows+1)), "more than 2,000"},
	} {
		_, rows, err := bring.Read(c.source, c.file, kdbx.Key{})
		_, pub := fault.PublicOf(err)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(pub.Problem, c.says) || rows != nil {
			t.Errorf("%s: %v with %d rows, want %q", name, err, len(rows), c.says)
		}
	}
}

// Of a file that is made of nothing but things there is never an object for each.
func TestManyThings(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("{},", 3_000_000), ",")
	big := `{"name":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		name, source string
		file         []byte
		says         string
	}{
		{"Bitwarden", "bitwarden-json", []byte(`{"items":[` + many + `]}`), "more than 2,000"},
		{"1PUX", "1password-1pux", archive("export.data", `{"accounts":[{"vaults":[{"items":[`+many+`]}]}]}`), "more than 2,000"},
		{"a large thing", "bitwarden-json", []byte(`{"items":[{},` + big + `]}`), "larger than 1 MiB"},
		{"a large thing of 1Password", "1password-1pux", archive("export.data", `{"accounts":[{"vaults":[{"items":[`+big+`]}]}]}`), "larger than 1 MiB"},
		{"more after it", "bitwarden-json", []byte(`{"items":[{"name":"x"}]} {}`), "not the JSON"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, rows, err := bring.Read(c.source, c.file, kdbx.Key{})
		runtime.ReadMemStats(&after)
		if _, pub := fault.PublicOf(err); !strings.Contains(pub.Problem, c.says) || rows != nil {
			t.Errorf("%s: %v with %d rows, want %q", c.name, err, len(rows), c.says)
		}
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 100 {
			t.Errorf("%s: %d MiB were made of it", c.name, n)
		}
	}
	field := strings.TrimSuffix(strings.Repeat("{},", 501), ",")
	_, rows, err := bring.Read("bitwarden-json", []byte(`{"items":[{"name":"x","fields":[`+field+`]},{"name":"y","login":{"uris":[`+field+`]}},{"name":"z","fields":[{}]}]}`), kdbx.Key{})
	if err != nil || rows[0].Problem == "" || rows[1].Problem == "" || rows[2].Problem != "" {
		t.Errorf("many fields: %+v %v", rows, err)
	}
	_, rows, err = bring.Read("1password-1pux", archive("export.data", `{"accounts":[{"vaults":[{"items":[{"overview":{"title":"x"},"details":{"sections":[{"fields":[`+field+`]}]}}],"attrs":{"name":"After"}}]}]}`), kdbx.Key{})
	if err != nil || rows[0].Problem == "" || rows[0].Folder != "After" {
		t.Errorf("many fields: %+v %v", rows, err)
	}
}

func manyFields(tag string) []byte {
	return []byte(`<KeePassFile><Root><Group><Entry>` + strings.Repeat("<"+tag+"/>", 10_000) + `<String><Key>Title</Key><Value>x</Value></String></Entry></Group></Root></KeePassFile>`)
}

// Nor of an entry that is made of nothing but fields or files; and what unpacks to much is no file.
func TestManyOfKeePass(t *testing.T) { // breaks: vault.company-creds
	for _, tag := range []string{"String", "Binary"} {
		_, rows, err := bring.Read("keepass-xml", manyFields(tag), kdbx.Key{})
		if err != nil || !strings.Contains(rows[0].Problem, "more than 500") {
			t.Errorf("%s: %+v %v", tag, rows, err)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 1<<20+1)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	_, rows, err := bring.Read("keepass-xml", []byte(`<KeePassFile><Root><Group><Entry><String><Key>Title</Key><Value>x</Value></String><Binary><Key>a</Key><Value Compressed="True">`+base64.StdEncoding.EncodeToString(packed.Bytes())+`</Value></Binary></Entry></Group></Root></KeePassFile>`), kdbx.Key{})
	if err != nil || rows[0].Files[0].Body.Len() != 0 {
		t.Errorf("a bomb as a file: %v", err)
	}
	if _, _, err := bring.Read("keepass-xml", []byte(`<KeePassFile><Meta><Binaries>`+ids(10_001)+`</Binaries></Meta></KeePassFile>`), kdbx.Key{}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "import_file") {
		t.Errorf("many files: %v", err)
	}
}

// What files unpack to has one limit for all of them, in either format.
func TestManyFilesOfOne(t *testing.T) { // breaks: vault.company-creds
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	var all, within, docs strings.Builder
	var files []string
	for n := range 200 {
		fmt.Fprintf(&all, `<Binary ID="%d" Compressed="True">%s</Binary>`, n, text)
		fmt.Fprintf(&within, `<Binary><Key>a</Key><Value Compressed="True">%s</Value></Binary>`, text)
		files = append(files, fmt.Sprintf("files/d%d__a", n), strings.Repeat("x", 1<<20))
		fmt.Fprintf(&docs, `{"title":"f","value":{"file":{"fileName":"a","documentId":"d%d"}}},`, n)
	}
	entry := func(more string) string {
		return `<Root><Group><Entry><String><Key>Title</Key><Value>x</Value></String>` + more + `</Entry></Group></Root></KeePassFile>`
	}
	refs := ""
	for n := range 200 {
		refs += fmt.Sprintf(`<Binary><Key>a</Key><Value Ref="%d"/></Binary>`, n)
	}
	pux := archive(append(files[:2*60], "export.data", `{"accounts":[{"vaults":[{"items":[{"overview":{"title":"x"},"details":{"sections":[{"fields":[`+strings.TrimSuffix(docs.String(), ",")+`]}]}}]}]}]}`)...)
	for name, c := range map[string]struct {
		source string
		file   []byte
		most   int
	}{"KeePass": {"keepass-xml", []byte(`<KeePassFile><Meta><Binaries>` + all.String() + `</Binaries></Meta>` + entry(refs)), 64}, "KeePass, within": {"keepass-xml", []byte(`<KeePassFile>` + entry(within.String())), 64}, "1PUX": {"1password-1pux", pux, 60}} {
		_, rows, err := bring.Read(c.source, c.file, kdbx.Key{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := 0
		for _, f := range rows[0].Files {
			n += f.Body.Len() >> 20
		}
		if len(rows[0].Files) != 200 || n != c.most {
			t.Errorf("%s: %d files of %d MiB", name, len(rows[0].Files), n)
		}
	}
}

func ids(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<Binary ID="%d">YQ==</Binary>`, i)
	}
	return b.String()
}

// A database comes over as an export of it does.
func TestDatabase(t *testing.T) { // breaks: vault.company-creds
	key := func(password string) kdbx.Key { return kdbx.Key{Password: secret.NewText(password)} }
	for _, name := range []string{"three.kdbx", "aes.kdbx"} {
		file, err := os.ReadFile("../../../kdbx/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		source, rows, err := bring.Read("", file, key("correct horse"))
		if err != nil || source != "keepass-kdbx" || len(rows) < 2 {
			t.Fatalf("%s %v %v", source, rows, err)
		}
		for i, want := range map[int][]string{0: {`"Elm Bank" in "Finance"`, "treasury", "password=plum & 71 <ü>", "+PIN(true)=4711"}, len(rows) - 1: {`"Gone"`, "recycle bin"}} {
			for _, w := range want {
				if got := shown(rows[i]); !strings.Contains(got, w) {
					t.Errorf("%s: %s, want %q", name, got, w)
				}
			}
		}
		if name == "three.kdbx" && !strings.Contains(shown(rows[0]), "totp=otpauth://totp/x?secret=JBSWY3DPEHPK3PXP notes=call Ilse") || name == "three.kdbx" && !strings.HasSuffix(shown(rows[0]), " @c.pdf=hello file") {
			t.Error(shown(rows[0]))
		}
		if _, _, err := bring.Read("", file, key("correct")); err == nil || !strings.Contains(err.Error(), "kdbx_password") {
			t.Errorf("another password: %v", err)
		}
	}
}

func fuzz(f *testing.F, source string, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		_, rows, err := bring.Read(source, file, kdbx.Key{})
		if err != nil && (fault.KindOf(err) != fault.Invalid || rows != nil) {
			t.Errorf("%d rows with %v", len(rows), err)
		}
		if err == nil && (len(rows) == 0 || len(rows) > bring.MaxRows) {
			t.Errorf("%d rows", len(rows))
		}
		for _, r := range rows {
			if r.Problem == "" && r.Title == "" {
				t.Error("a good row without a title")
			}
		}
	})
}

func FuzzPUX(f *testing.F) {
	fuzz(f, "1password-1pux", archive("export.data", puxData), archive("../x", "y"))
}

func FuzzBitwarden(f *testing.F) { fuzz(f, "bitwarden-json", []byte(bitwardenData)) }

func FuzzKeePass(f *testing.F) { fuzz(f, "keepass-xml", []byte(keepassData)) }

func FuzzTable(f *testing.F) {
	fuzz(f, "browser-csv", []byte("name,url,username,password,note\na,b,c,d,e\n"), []byte("folder,type,name,notes,fields,login_password\n,note,a,b,\"c: d\",e\n"))
}

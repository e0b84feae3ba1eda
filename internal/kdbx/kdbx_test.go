package kdbx_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/kdbx"
	"writ/internal/secret"
)

const thePassword = "correct horse"

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keyOf(password, file string) kdbx.Key {
	return kdbx.Key{Password: secret.NewText(password), File: secret.NewBytes([]byte(file))}
}

func open(file []byte, key kdbx.Key) (string, error) {
	b, err := kdbx.Open(file, key, kdbx.Limits{Memory: 1 << 20, Work: 4 << 20, Rounds: 1 << 16})
	return string(b.Reveal()), err
}

// code is the code of a refusal; "" = it was opened.
func code(err error) string {
	if err == nil {
		return ""
	}
	c, _ := fault.PublicOf(err)
	return c
}

const theKeyFile = "any file may be a key"

// samples were written by KeePassXC: of KDBX 3.1 and 4, of each cipher and derivation.
var samples = map[string]kdbx.Key{"aes.kdbx": keyOf(thePassword, ""), "argon2d-chacha20.kdbx": keyOf(thePassword, ""), "argon2id-keyfile.kdbx": keyOf(thePassword, theKeyFile), "three.kdbx": keyOf(thePassword, "")}

func TestOpen(t *testing.T) { // breaks: vault.company-creds
	for name, key := range samples {
		t.Run(name, func(t *testing.T) {
			file := sample(t, name)
			if !kdbx.Is(file) {
				t.Error("it does not look like one")
			}
			got, err := open(file, key)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"<KeePassFile>", "<Name>Finance</Name>", "<Value>Elm Bank</Value>", "<Value>treasury</Value>", "<Value>plum &amp; 71 &lt;ü&gt;</Value>", "<Value>4711</Value>", "<RecycleBinUUID>", "<Value>gone 1</Value>"} {
				if !strings.Contains(got, want) {
					t.Errorf("it lacks %s:\n%s", want, got)
				}
			}
			for _, none := range []string{"an older one", "<History>", "Protected="} {
				if strings.Contains(got, none) {
					t.Errorf("it holds %q", none)
				}
			}
			if _, err := open(file, keyOf("correct horsf", theKeyFile)); fault.KindOf(err) != fault.Invalid || code(err) != "kdbx_password" {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}

const small = `<KeePassFile><Meta><HeaderHash>{{hash}}</HeaderHash><Binaries><Binary ID="9" Compressed="False" Protected="True">{{a file within}}</Binary></Binaries></Meta><Root><Group><Name>A</Name>` +
	`<Entry><String><Key>Title</Key><Value>t</Value></String><History><Entry><String><Key>Password</Key><Value Protected="True">{{former}}</Value></String></Entry></History></Entry>` +
	`<Entry><String><Key>Password</Key><Value Protected="True">{{a long text that goes over the end of a block of the stream}}</Value></String><String><Key>Odd</Key><Value Protected="True">{{` + "\x01" + `}}</Value></String><Binary><Key>c.pdf</Key><Value Ref="0"/></Binary></Entry></Group></Root></KeePassFile>`

var forms = map[string]kdbx.Form{
	"3.1":                         {Three: true, Cipher: kdbx.AES},
	"3.1 ChaCha20, plain":         {Three: true, Cipher: kdbx.ChaCha, Plain: true},
	"AES":                         {Cipher: kdbx.AES, Kdf: kdbx.AESKDF},
	"Argon2d, ChaCha20":           {Cipher: kdbx.ChaCha, Kdf: kdbx.Argon2d},
	"Argon2id, Salsa20 within":    {Cipher: kdbx.AES, Kdf: kdbx.Argon2id, Salsa: true},
	"a key file and no password":  {Cipher: kdbx.ChaCha, Kdf: kdbx.Argon2id, Plain: true, Key: keyOf("", theKeyFile)},
	"a key file and no password,": {Three: true, Cipher: kdbx.AES, Key: keyOf("", theKeyFile)},
}

// Every form comes out as the same XML.
func TestForms(t *testing.T) { // breaks: vault.company-creds
	for name, f := range forms {
		if f.Key.File.Len() == 0 {
			f.Key = keyOf(thePassword, "")
		}
		if !f.Three {
			f.Files = []string{"hello file"}
		}
		got, err := open(kdbx.Seal(t, small, f), f.Key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for want, there := range map[string]bool{"<Value>a long text that goes over the end of a block of the stream</Value>": true, `<Value NotText="True"></Value>`: true, "former": false, `<Value Ref="0">`: true,
			`<Binary ID="9" Compressed="False">` + base64.StdEncoding.EncodeToString([]byte("a file within")): true, `<Binary ID="0">` + base64.StdEncoding.EncodeToString([]byte("hello file")): !f.Three} {
			if strings.Contains(got, want) != there {
				t.Errorf("%s: %q in it: %v\n%s", name, want, !there, got)
			}
		}
		if _, err := open(kdbx.Seal(t, small, f), keyOf("another", "")); code(err) != "kdbx_password" {
			t.Errorf("%s: another password: %v", name, err)
		}
	}
}

// A file that somebody altered or cut is refused: of KDBX 4 every byte is under a mark.
func TestAltered(t *testing.T) { // breaks: vault.company-creds
	f := kdbx.Form{Cipher: kdbx.AES, Kdf: kdbx.AESKDF, Key: keyOf(thePassword, "")}
	file := kdbx.Seal(t, small, f)
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 4
		if _, err := open(b, f.Key); err == nil {
			t.Errorf("byte %d was altered and it was opened", i)
		}
		if _, err := open(file[:i], f.Key); err == nil {
			t.Errorf("it was cut after %d bytes and opened", i)
		}
	}
	last := bytes.Clone(file)
	last[len(last)-36-20] ^= 4 // in the only block
	if _, err := open(last, f.Key); code(err) != "kdbx_altered" {
		t.Errorf("a block was altered: %v", err)
	}
	if kdbx.Is([]byte("<KeePassFile/>")) || kdbx.Is(nil) {
		t.Error("something else looks like one")
	}
}

// The header of KDBX 3.1 has its hash within the content, and each block has one.
func TestAlteredThree(t *testing.T) { // breaks: vault.company-creds
	f := kdbx.Form{Three: true, Cipher: kdbx.ChaCha, Plain: true, Key: keyOf(thePassword, "")}
	file := kdbx.Seal(t, small, f)
	body := len(file) - 40 - 20
	for name, b := range map[string][]byte{"a block": flip(file, body), "no hash": kdbx.Seal(t, strings.Replace(small, "HeaderHash", "HeaderHush", 2), f), "a hash of another": kdbx.Seal(t, strings.Replace(small, "{{hash}}", "x{{hash}}", 1), f)} {
		if _, err := open(b, f.Key); code(err) != "kdbx_altered" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range file[:len(file)-40] { // the last block is empty, and its hash is not looked at
		if _, err := open(flip(file, i), f.Key); err == nil {
			t.Errorf("byte %d was altered and it was opened", i)
		}
		if _, err := open(file[:i], f.Key); err == nil {
			t.Errorf("it was cut after %d bytes and opened", i)
		}
	}
}

func flip(file []byte, at int) []byte {
	b := bytes.Clone(file)
	b[at] ^= 4
	return b
}

// field replaces the value of a parameter of the derivation, and the sum of the header with it.
func field(t *testing.T, file []byte, name string, value uint64) []byte {
	t.Helper()
	b := bytes.Clone(file)
	at := bytes.Index(b, append(binary.LittleEndian.AppendUint32(nil, uint32(len(name))), name...))
	if at < 0 {
		t.Fatalf("there is no parameter %s", name)
	}
	at += 4 + len(name)
	switch n := binary.LittleEndian.Uint32(b[at:]); n {
	case 4:
		binary.LittleEndian.PutUint32(b[at+4:], uint32(value))
	case 8:
		binary.LittleEndian.PutUint64(b[at+4:], value)
	default:
		t.Fatalf("%s has %d bytes", name, n)
	}
	return kdbx.Summed(b)
}

// What a file asks for is looked at before it is begun.
func TestLimits(t *testing.T) { // breaks: vault.company-creds
	argon, aes := sample(t, "argon2d-chacha20.kdbx"), sample(t, "aes.kdbx")
	alter := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	cipherAt := bytes.Index(aes, []byte{2, 16, 0, 0, 0}) + 5
	fish, err := hex.DecodeString("ad68f29f576f4bb9a36ad47af965346c")
	if err != nil {
		t.Fatal(err)
	}
	twofish := kdbx.Summed(append(append(bytes.Clone(aes[:cipherAt]), fish...), aes[cipherAt+16:]...))
	three := kdbx.Seal(t, small, kdbx.Form{Three: true, Cipher: kdbx.AES})
	rounds := bytes.Index(three, append([]byte{6, 8, 0}, binary.LittleEndian.AppendUint64(nil, 1000)...))
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"memory":           {field(t, argon, "M", 512<<20), "kdbx_work"},
		"memory over 2^32": {field(t, argon, "M", 1<<33), "kdbx_work"},
		"passes":           {field(t, argon, "I", 1<<31), "kdbx_work"},
		"passes over 2^32": {field(t, argon, "I", 1<<40), "kdbx_work"},
		"threads":          {field(t, argon, "P", 255), "kdbx_work"},
		"no thread":        {field(t, argon, "P", 0), "kdbx_kdf"},
		"no pass":          {field(t, argon, "I", 0), "kdbx_kdf"},
		"no memory":        {field(t, argon, "M", 0), "kdbx_kdf"},
		"another argon2":   {field(t, argon, "V", 0x10), "kdbx_kdf"},
		"rounds":           {field(t, aes, "R", 1<<40), "kdbx_work"},
		"rounds of 3.1":    {alter(three, rounds+3+7, 1), "kdbx_work"},
		"KDBX 2":           {alter(argon, 10, 2), "kdbx_version"},
		"KDBX 5":           {alter(argon, 10, 5), "kdbx_version"},
		"Twofish":          {twofish, "kdbx_cipher"},
		"a large file":     {append(bytes.Clone(argon), make([]byte, kdbx.MaxFile)...), "kdbx_large"},
		"a length":         {append(bytes.Clone(argon[:12]), 4, 0xff, 0xff, 0xff, 0xff), "kdbx_broken"},
		"nothing":          {nil, "kdbx_broken"},
	} {
		if _, err := open(c.file, samples["aes.kdbx"]); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A small database that unpacks to a large one, XML that declares things, and XML that goes deep.
func TestHostileContent(t *testing.T) { // breaks: vault.company-creds
	key := keyOf(thePassword, "")
	seal := func(xml string, files ...string) []byte {
		return kdbx.Seal(t, xml, kdbx.Form{Cipher: kdbx.ChaCha, Kdf: kdbx.AESKDF, Key: key, Files: files})
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"a bomb":          {seal(strings.Repeat(" ", 65<<20)), "kdbx_large"},
		"files":           {seal(`<KeePassFile><Meta></Meta></KeePassFile>`, strings.Repeat(" ", 20<<20), strings.Repeat(" ", 20<<20)), "kdbx_large"},
		"a declaration":   {seal(`<!DOCTYPE a [<!ENTITY b "c">]><KeePassFile>&b;</KeePassFile>`), "kdbx_broken"},
		"depth":           {seal(strings.Repeat("<Group>", 200)), "kdbx_broken"},
		"no base64":       {seal(`<KeePassFile><Value Protected="True">%</Value></KeePassFile>`), "kdbx_broken"},
		"an open element": {seal(`<KeePassFile>`), "kdbx_broken"},
		"nothing":         {seal(""), "kdbx_broken"},
		"no empty file":   {seal(`<KeePassFile></KeePassFile>`, ""), ""},
	} {
		if _, err := open(c.file, key); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Each form of a key file gives the key that KeePass makes of it.
func TestKeyFiles(t *testing.T) { // breaks: vault.company-creds
	key := bytes.Repeat([]byte{0xa5}, 32)
	digits := strings.Repeat("A5", 32)
	two := `<?xml version="1.0"?><KeyFile><Meta><Version>2.0</Version></Meta><Key><Data Hash="HASH">` + digits[:32] + "\n " + digits[32:] + `</Data></Key></KeyFile>`
	sum := "FC8B6400"
	for name, c := range map[string]struct {
		file string
		ours bool
		code string
	}{
		"32 bytes":      {string(key), true, ""},
		"64 digits":     {digits, true, ""},
		"XML 1":         {`<KeyFile><Meta><Version>1.00</Version></Meta><Key><Data>` + base64.StdEncoding.EncodeToString(key) + `</Data></Key></KeyFile>`, true, ""},
		"XML 2":         {strings.Replace(two, "HASH", sum, 1), true, ""},
		"XML 2 damaged": {strings.Replace(two, "HASH", "00000000", 1), false, "kdbx_key_file"},
		"XML 1 damaged": {`<KeyFile><Meta><Version>1.00</Version></Meta><Key><Data>x</Data></Key></KeyFile>`, false, "kdbx_key_file"},
		"any other":     {theKeyFile, false, ""},
		"no XML":        {"<KeyFile and more", false, ""},
		"a large one":   {strings.Repeat("x", kdbx.MaxKeyFile+1), false, "kdbx_key_file"},
	} {
		got, err := kdbx.OfFile([]byte(c.file))
		if code(err) != c.code || c.code == "" && len(got) != 32 || c.ours != bytes.Equal(got, key) {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
}

// What KeePassXC writes is read, and what this test writes is read by KeePassXC: two who know the format by themselves.
func TestKeePassXC(t *testing.T) { // breaks: vault.company-creds
	cli, err := exec.LookPath("keepassxc-cli")
	if err != nil {
		t.Skip("keepassxc-cli is not here (Debian: keepassxc): the samples in testdata alone were looked at")
	}
	dir := t.TempDir()
	keyFile, attached := filepath.Join(dir, "key"), filepath.Join(dir, "c.txt")
	for path, text := range map[string]string{keyFile: theKeyFile, attached: "an attachment"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	xml := strings.NewReplacer("<Value Protected=\"True\">{{\x01}}</Value>", "<Value>odd</Value>", `<Binary><Key>c.pdf</Key><Value Ref="0"/></Binary>`, "", `<Binary ID="9" Compressed="False" Protected="True">{{a file within}}</Binary>`, "",
		"<Group><Name>A", `<Group><UUID>AAAAAAAAAAAAAAAAAAAAAQ==</UUID><Name>A`, "<Entry><String><Key>Title", "<Entry><UUID>AAAAAAAAAAAAAAAAAAAAAg==</UUID><String><Key>Title",
		"<History><Entry>", "<History><Entry><UUID>AAAAAAAAAAAAAAAAAAAAAg==</UUID>", "<Entry><String><Key>Password</Key><Value Protected=\"True\">{{a", "<Entry><UUID>AAAAAAAAAAAAAAAAAAAAAw==</UUID><String><Key>Password</Key><Value Protected=\"True\">{{a").Replace(small)
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), cli, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "LANG=C.UTF-8", "QT_QPA_PLATFORM=offscreen")
		cmd.Stdin = strings.NewReader(stdin)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("keepassxc-cli %v: %v\n%s", args, err, errs.String())
		}
		return out.String()
	}
	for name, f := range forms {
		args := []string{"-q", "-k", keyFile}
		switch {
		case f.Key.File.Len() == 0:
			f.Key, args = keyOf(thePassword, ""), args[:1]
		case f.Key.Password.IsZero():
			args = append(args, "--no-password")
		}
		db := filepath.Join(dir, hex.EncodeToString([]byte(name))+".kdbx")
		if err := os.WriteFile(db, kdbx.Seal(t, xml, f), 0o600); err != nil {
			t.Fatal(err)
		}
		theirs := run(f.Key.Password.Reveal()+"\n", append(append([]string{"export"}, args...), db)...)
		if !strings.Contains(theirs, "a long text that goes over the end of a block of the stream") {
			t.Fatalf("%s: KeePassXC reads\n%s", name, theirs)
		}
		run(f.Key.Password.Reveal()+"\n", append(append([]string{"attachment-import"}, args...), db, "t", "c.txt", attached)...) // it writes all anew
		file, err := os.ReadFile(db)
		if err != nil {
			t.Fatal(err)
		}
		got, err := open(file, f.Key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := map[bool]byte{true: 3, false: 4}[f.Three]; file[10] != want {
			t.Errorf("%s: KeePassXC wrote KDBX %d", name, file[10])
		}
		if !strings.Contains(got, "<Value>a long text that goes over the end of a block of the stream</Value>") || !f.Three && !strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("an attachment"))) {
			t.Errorf("%s: of KeePassXC's\n%s", name, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for name := range samples {
		f.Add(sample(f, name))
	}
	for _, form := range forms {
		form.Key = keyOf(thePassword, "")
		f.Add(kdbx.Seal(f, small, form))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, b := range [][]byte{file, kdbx.Summed(file)} {
			if _, err := kdbx.Open(b, samples["aes.kdbx"], kdbx.Limits{Memory: 1 << 20, Work: 4 << 20, Rounds: 2000}); err != nil && fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(`<KeePassFile><Meta><RecycleBinUUID>abc=</RecycleBinUUID></Meta><Root><Group><UUID>abc=</UUID><Name>x</Name><Entry><String><Key>a</Key><Value Protected="True">YQ==</Value></String></Entry></Group></Root></KeePassFile>`))
	f.Fuzz(func(t *testing.T, xml []byte) {
		if _, err := kdbx.Content(xml); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(`<KeyFile><Meta><Version>1.00</Version></Meta><Key><Data>x</Data></Key></KeyFile>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := kdbx.OfFile(b); err != nil && fault.KindOf(err) != fault.Invalid || err == nil && len(key) != 32 {
			t.Errorf("%x %v", key, err)
		}
	})
}

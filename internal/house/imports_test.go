package house_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rare are imports that few packages may have. "" allows nobody.
var rare = []struct {
	path string // a trailing * means everything below as well
	who  string // packages under internal, space between; a child counts to its parent unless named itself
	why  string
}{
	{"crypto/cipher", "envelope kdbx", "one place seals; the databases of KeePass are opened"},
	{"crypto/aes", "envelope kdbx", "one place seals; the databases of KeePass are opened"},
	{"golang.org/x/crypto/xts", "", "for tests: envelope does the same in a quarter of the time"},
	{"crypto/hmac", "envelope vault passhash kdbx notify", "pseudonyms and marks; the databases of KeePass; signatures of the clients of the parameter store; verifiers of PostgreSQL; signatures of webhooks"},
	{"crypto/hkdf", "envelope", "subkeys"},
	{"crypto/pbkdf2", "passhash", "one place hashes passwords"},
	{"golang.org/x/crypto/argon2", "passhash", "one place hashes passwords"},
	{"golang.org/x/crypto/bcrypt", "passhash", "one place hashes passwords"},
	{"golang.org/x/crypto/ssh*", "sshsig bastion app", "signatures of owners; the SSH door; copies of the status page by SFTP"},
	{"crypto/tls", "listen gateway canary mail notify app demo cli", "TLS is set up by listen and looked at by probes; the least version towards webhooks"},
	{"crypto/rsa", "listen identity", "keys inside certificates from files; RS256 of id tokens, which every client reads"},
	{"crypto/md5", "", "broken"}, {"crypto/sha1", "", "broken"}, {"crypto/des", "", "broken"}, {"crypto/rc4", "", "broken"}, {"crypto/dsa", "", "broken"},
	{"math/rand", "", "old, and its top-level functions shared"},
	{"math/rand/v2", "jobs ledger journal canary notify", "jitter of waits and addresses of canaries; never a secret"},
	{"database/sql*", "ledger keyring demo", "statements go through ledger.Tx and ledger.Reader; the sample is a stranger's application with a database of its own"},
	{"github.com/jackc/pgx/v5*", "ledger keyring vault", "one place opens databases; roles of others' databases are replaced there"},
	{"github.com/ncruces/go-sqlite3*", "ledger keyring demo", "one place opens databases; the sample its own"},
	{"github.com/pressly/goose/v3*", "ledger", "migrations"},
	{"github.com/wneessen/go-mail*", "mail", "letters leave by one door"},
	{"net/smtp", "", "frozen, and mail has its door"},
	{"github.com/getkin/kin-openapi*", "gateway", "descriptions of the application's interface"},
	{"github.com/santhosh-tekuri/jsonschema*", "gateway", "schemas of that description"},
	{"github.com/goccy/go-yaml*", "app gateway policy cli vault watch", "files people write"},
	{"github.com/pelletier/go-toml*", "leak", "rules of scanners"},
	{"github.com/spf13/cobra*", "cli", "commands"},
	{"github.com/cedar-policy/cedar-go*", "access", "one place decides"},
	{"github.com/chromedp*", "", "for tests"}, {"github.com/coder/websocket*", "", "for tests"}, {"github.com/emersion*", "notify", "notices about deliveries come in by LMTP"},
	{"github.com/go-webauthn*", "identity", "passkeys are judged in one place"}, {"github.com/descope*", "", "for tests"},
	{"github.com/rogpeppe*", "", "for tests"}, {"github.com/transparency-dev*", "", "for tests"},
	{"testing", "", "for tests"}, {"net/http/httptest", "", "for tests"},
	{"net/http/httputil", "gateway", "the reverse proxy"},
	{"net/http/pprof", "", "registers itself on the default mux"},
	{"expvar", "", "registers itself on the default mux"},
	{"html/template", "web mail console report demo identity policy journal gateway incident", "pages and letters"},
	{"text/template", "cli", "does not escape; files of other programs, with quoting of their own"},
	{"encoding/gob", "", "decodes foreign bytes into types at will"},
	{"encoding/xml", "vault kdbx incident", "KeePass exports XML; it is read as a stream, without entities; feeds are written"},
	{"reflect", "clause ledger policy web", "tags of rules, classes of fields, types of the API document"},
	{"unsafe", "", "not needed"},
	{"plugin", "", "not needed"},
	{"C", "", "builds without cgo"},
	{"os/exec", "demo cli notify", "the server starts no programs but those that the machine's settings name as a way to tell people; writ run becomes one"},
}

// pure are packages that ground may not import: it has no I/O, no SQL, no network.
var pure = []string{"os", "net", "net/http", "database/sql", "embed", "io/ioutil", "os/exec", "syscall", "log", "log/slog"}

// pureBut are the exceptions, "package import" with a reason.
var pureBut = map[string]string{
	"fault net/http":    "status numbers only",
	"secret log/slog":   "LogValue hides a secret from logs",
	"envelope log/slog": "LogValue hides a key from logs",
}

func TestRareImports(t *testing.T) {
	for _, p := range theTree(t).pkgs {
		for _, s := range p.code() {
			for _, i := range s.imports() {
				for _, r := range rare {
					below, deep := strings.CutSuffix(r.path, "*")
					if i != below && !(deep && strings.HasPrefix(i, below+"/")) {
						continue
					}
					if !slices.Contains(strings.Fields(r.who), p.top()) {
						t.Errorf("%s imports %s (%s); allowed: %s", s.path, i, r.why, orNobody(r.who))
					}
				}
			}
		}
	}
}

func orNobody(s string) string {
	if s == "" {
		return "nobody"
	}
	return s
}

func TestGroundIsPure(t *testing.T) {
	used := map[string]bool{}
	for _, p := range theTree(t).pkgs {
		if floorOf(p.top()) != ground {
			continue
		}
		for _, s := range p.code() {
			for _, i := range s.imports() {
				if !slices.Contains(pure, i) {
					continue
				}
				key := p.top() + " " + i
				used[key] = true
				if pureBut[key] == "" {
					t.Errorf("%s imports %s: ground has no I/O", s.path, i)
				}
			}
		}
	}
	for key := range pureBut {
		if !used[key] {
			t.Errorf("pureBut has %q, which nothing needs any more", key)
		}
	}
}

const dependencyPage = "docs/adr/dependencies.md"

var required = regexp.MustCompile(`(?m)^(?:require)?\s+([a-z0-9.-]+\.[a-z]+/\S+) v`)

// Each module that the code or its tests import has a line that says why, how large it is,
// who keeps it and how to leave it; and each line has its module.
func TestDependenciesAreExplained(t *testing.T) {
	var modules []string
	for _, m := range required.FindAllStringSubmatch(string(read(t, "go.mod")), -1) {
		modules = append(modules, m[1])
	}
	if len(modules) < 10 {
		t.Fatalf("read only %d modules from go.mod", len(modules))
	}
	page := string(read(t, dependencyPage))
	used := map[string]string{}
	for _, p := range theTree(t).pkgs {
		for _, s := range p.files {
			for _, i := range s.imports() {
				best := ""
				for _, m := range modules {
					if (i == m || strings.HasPrefix(i, m+"/")) && len(m) > len(best) {
						best = m
					}
				}
				if best != "" {
					used[best] = s.path
				}
			}
		}
	}
	for m, file := range used {
		if !strings.Contains(page, "`"+m+"`") {
			t.Errorf("%s has no line for %s, which %s imports", dependencyPage, m, file)
		}
	}
	for _, m := range listed.FindAllStringSubmatch(page, -1) {
		if used[m[1]] == "" {
			t.Errorf("%s has a line for %s, which nothing imports", dependencyPage, m[1])
		}
	}
}

var listed = regexp.MustCompile("`((?:github\\.com|golang\\.org)/[^`]+)`")

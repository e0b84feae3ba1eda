package browser

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/demo/sample"
	"writ/internal/parcel"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// fillings are what the pages show: made once, in the first test that wants them.
type fillings struct {
	incident  string // its id on the status page
	ref       string // its reference
	breach    string // reference of one of exposed data
	loss      string // a practice in which data is lost
	item      string // of the company's vault
	alarm     string // a test alarm that fires
	silence   string // one that waits for a second person
	kms       string // a key that programs encrypt with
	once      string // a link to it, that nobody opens
	proposal  string // version of a revision that waits for signatures
	exception string // one that waits for a signature
	held      string // one that holds
	people    map[string]string
	review    string // of rights, open
	app       string // an application that asks people
	redirect  string // and where it is answered
	hit       string // address of a credential that was found
}

// authorize is where the application sends somebody to sign in.
func (f *fillings) authorize() string {
	return "/-/oidc/authorize?" + url.Values{"client_id": {f.app}, "redirect_uri": {f.redirect}, "response_type": {"code"}, "scope": {"openid email"}, "state": {"s"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}.Encode()
}

const (
	engineer = "emil@example.test"
	shopper  = "maria@orchard.example.test"
)

// signer is an owner with a key and a session.
type signer struct {
	*client
	key sshsig.Signer
}

// filled has the owners sign the policy and gives every page something to show.
func (h *house) filled(t *testing.T) *fillings {
	t.Helper()
	h.filling.Lock()
	defer h.filling.Unlock()
	if h.fill != nil {
		return h.fill
	}
	f := &fillings{people: map[string]string{}}
	h.customer(t, shopper, "Maria Ferro", "Orchard", sample.Contact{Name: "Ilse Brandt", Company: "Brandt & Co", Email: "ilse@brandt.example"},
		sample.Contact{Name: "Tomás Reyes", Company: "Reyes Foods", Email: "tomas@reyes.example"})
	h.customer(t, "noor@harbour.example.test", "Noor Haddad", "Harbour")
	ana := h.signer(t, owners[0].address, h.links[owners[0].address])
	ben := h.signer(t, owners[1].address, h.links[owners[1].address])
	chloe := h.signer(t, owners[2].address, h.links[owners[2].address])
	ana.call("POST", "people", obj{"email": engineer, "name": "Emil Haas", "roles": []string{"engineer"}}, nil)
	emil := h.signer(t, engineer, h.letter(t, engineer, 1)) // the link goes to him alone
	ana.call("POST", "people", obj{"email": "sana@example.test", "name": "Sana Aydin", "roles": []string{"support"}}, nil)

	for _, s := range []*signer{ben, chloe, ana} {
		s.approve("1.0")
	}
	ana.attest("gov.contact", "A test message to security@example.test was answered after 40 minutes.")
	ben.attest("crypto.db-at-rest", "Looked at the provider's page of the database: storage and snapshots are encrypted with the provider's key service.")
	f.proposal = emil.propose("Shorter links after the review in October: a letter that lies about for a day is a risk.",
		map[string]document.Literal{"auth.reset-link-lifetime/ttl": document.Word("6h"), "auth.signup-email/confirm_ttl": document.Word("12h")})
	f.held = emil.ask("auth.best-practice/staff_idle", "3h", "The migration on Saturday needs long sessions at the console.")
	ben.grant(f.held)
	f.exception = emil.ask("auth.signup-email/confirm_ttl", "36h", "Mail to one customer is delayed by their filter.")
	var made struct{ Client struct{ ID string } }
	f.redirect = strings.Replace(h.origin, "localhost", "127.0.0.1", 1) + "/harvest"
	chloe.call("POST", "clients", obj{"name": "Harvest diary", "redirects": []string{f.redirect}}, &made)
	f.app = made.Client.ID
	var opened struct{ ID string }
	chloe.call("POST", "reviews", obj{}, &opened)
	f.review = opened.ID
	var kept struct{ ID string }
	ana.call("POST", "vault/items", obj{"kind": "login", "title": "Domain registrar", "folder": "Operations", "vendor": "Larch Domains", "critical": true, "rotate_days": 180, "owners": []string{owners[0].address, owners[1].address},
		"values": obj{"url": "https://login.larchdomains.example", "username": "hostmaster", "password": "correct horse plum 71", "totp": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "notes": "renew in June"},
		"custom": []obj{{"label": "Customer number", "value": "F-2041"}, {"label": "Telephone PIN", "secret": true, "value": "4711"}}}, &kept)
	f.item = kept.ID
	ana.call("POST", "vault/items/"+f.item+"/shares", obj{"with": "role:engineer", "level": "viewer"}, nil)
	emil.call("POST", "vault/items/"+f.item+"/reveal", obj{"field": "password", "reason": "the renewal in June"}, nil)
	ana.call("POST", "vault/items/"+f.item+"/files", obj{"name": "contract.txt", "body": "dGhlIGNvbnRyYWN0"}, nil)
	var link struct{ URL string }
	ana.call("POST", "vault/items/"+f.item+"/links", obj{"fields": []string{"password"}, "reason": "for the auditor"}, &link)
	f.once = link.URL
	ana.call("POST", "vault/items", obj{"kind": "note", "title": "Office alarm", "folder": "Office", "values": obj{"text": "behind the coats"}}, nil)
	ana.call("POST", "vault/items", obj{"kind": "login", "title": "Newsletter", "vendor": "Swift Post", "values": obj{"username": "news", "password": "summer2026"}}, nil)
	var all struct {
		People []struct{ ID, Email, Handle string }
	}
	ana.call("GET", "people", nil, &all)
	for _, p := range all.People {
		f.people[p.Email] = p.ID
	}
	for _, v := range []string{"an older one", "correct horse battery staple"} {
		emil.call("POST", "vault/params", obj{"name": "/shop/db/password", "value": v, "type": "SecureString", "overwrite": true, "description": "The account of the orders service in its database"}, nil)
	}
	emil.call("POST", "vault/params", obj{"name": "/shop/features/gift-wrap", "value": "on", "type": "String"}, nil)
	emil.call("POST", "vault/keys", obj{"path": "/shop", "read_only": true}, nil)
	ana.call("PUT", "watch/budgets/cloud", obj{"meter": "bill", "plan": "5000", "unit": "EUR"}, nil)
	f.loss = emil.loss()
	f.ref, f.incident = emil.incident()
	f.breach = exposed(ana, ben, chloe, emil)
	emil.call("POST", "vault/rotations", obj{"name": "/robot/writ-key", "kind": "access-key", "from": obj{"path": "/robot", "reads": true}, "days": 30}, nil)
	emil.call("POST", "vault/rotations/now", obj{"name": "/robot/writ-key", "exposed": true}, nil)
	emil.call("POST", "vault/rotations/now", obj{"name": "/robot/writ-key"}, nil)
	var key struct {
		ID string `json:"id"`
	}
	ana.call("POST", "vault/kms", obj{"alias": "alias/shop", "path": "/shop", "description": "Orders at rest"}, &key)
	f.kms = key.ID
	var fired struct{ Alarm string }
	ana.call("POST", "watch/rules/disk-full/fire", obj{}, &fired)
	f.alarm = fired.Alarm
	var quiet struct{ ID string }
	ana.call("POST", "watch/silences", obj{"matchers": []string{"alertname=disk-full-soon"}, "reason": "the disk is being moved", "minutes": 2880}, &quiet)
	f.silence = quiet.ID
	ana.call("PUT", "watch/meters/own/own.queue", obj{"kind": "level", "says": "Jobs that wait", "every": "1m", "bounds": []obj{{"way": "above", "at": 500, "clear": 300, "for": "5m", "severity": "page"}}}, nil)
	ana.call("PUT", "watch/mutes/nights", obj{"from": "20:00", "to": "07:00", "zone": "Europe/Berlin", "reason": "nobody works then"}, nil)
	ana.call("PUT", "watch/oncall/first", obj{"people": []string{engineer, owners[0].address, owners[1].address}, "zone": "Europe/Berlin", "day": time.Now().AddDate(0, 0, 3).Weekday().String(), "at": "09:00"}, nil)
	emil.call("POST", "watch/oncall/first/overrides", obj{"by": owners[0].address, "until": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)}, nil)
	f.ownRule(emil)
	ana.call("POST", "vault/grants", obj{"who": "person/" + f.people["sana@example.test"], "path": "/shop/features", "rights": "reader", "reason": "Answers customers who ask what is on."}, nil)
	f.travel(emil)
	h.fill = f
	return f
}

// travel has a credential found where it should not be, and a machine that carries values.
func (f *fillings) travel(emil *signer) {
	emil.call("POST", "vault/scans", obj{"host": "build-2", "path": "/srv/checkout/shop", "report": obj{"place": ".", "files": 1204, "bytes": 9 << 20, "skipped": 3, "unread": []string{}, "known": false, "rules": 28,
		"hits": []obj{{"id": "0123456789abcdef", "rule": "env-file", "says": "A credential in a file of the environment", "file": "deploy/production.env", "line": 12, "commit": strings.Repeat("ab", 20), "masked": "hQ7x… (24 characters)"}}}}, nil)
	var out struct {
		Places []struct {
			ID   string
			Open []struct{ ID string }
		}
	}
	emil.call("GET", "vault/scans", nil, &out)
	for _, p := range out.Places {
		for _, h := range p.Open {
			f.hit = desk + "/secrets/scans/hit?place=" + p.ID + "&hit=" + h.ID
		}
	}
	var server struct{ Key string }
	emil.call("GET", "vault/bundles/key", nil, &server)
	key, err := parcel.NewKey(server.Key)
	if err != nil {
		emil.t.Fatal(err)
	}
	emil.call("POST", "vault/bundles", obj{"names": []string{"/shop/db/password"}, "machine": key.Machine().String(), "hours": 48}, nil)
}

// signer accepts a link, signs in and registers a fresh key.
func (h *house) signer(t *testing.T, address, link string) *signer {
	t.Helper()
	s := &signer{client: h.client(t)}
	var err error
	if s.key, err = sshsig.Generate(); err != nil {
		t.Fatal(err)
	}
	s.call("POST", "invitations/"+link[strings.LastIndexByte(link, '/')+1:]+"/accept", obj{"password": aPassword}, nil)
	h.enter(s.client, address)
	line := s.key.Key().String()
	var keys struct{ Text string }
	s.call("GET", "keys?key="+url.QueryEscape(line), nil, &keys)
	s.call("POST", "keys", obj{"key": line, "signature": s.sign(keys.Text)}, nil)
	return s
}

func (s *signer) sign(text string) string {
	s.t.Helper()
	b, err := s.key.Sign("writ-policy", []byte(text))
	if err != nil || text == "" {
		s.t.Fatalf("sign %q: %v", text, err)
	}
	return string(b)
}

// handle is how the document names the signer.
func (s *signer) handle() string {
	var keys struct {
		Keys []struct{ Fingerprint, Handle string }
	}
	s.call("GET", "keys", nil, &keys)
	for _, k := range keys.Keys {
		if k.Fingerprint == s.key.Key().Fingerprint() {
			return k.Handle
		}
	}
	s.t.Fatal("the key is not registered")
	return ""
}

type toSign struct{ Approver, Text string }

// textFor is the text that the signer signs, of several.
func (s *signer) textFor(all []toSign) string {
	h := strings.TrimPrefix(s.handle(), "person/")
	for _, x := range all {
		if strings.TrimPrefix(x.Approver, "person/") == h {
			return x.Text
		}
	}
	s.t.Fatalf("%s has nothing to sign among %v", h, all)
	return ""
}

func (s *signer) approve(version string) {
	s.t.Helper()
	var p struct {
		ToSign []toSign `json:"to_sign"`
	}
	s.call("GET", "policy/proposals/"+version, nil, &p)
	s.call("POST", "policy/proposals/"+version+"/approve", obj{"signature": s.sign(s.textFor(p.ToSign))}, nil)
}

func (s *signer) attest(clause, says string) {
	s.t.Helper()
	var r struct {
		Text     string
		Observed time.Time `json:"observed_at"`
		ValidFor string    `json:"valid_for"`
	}
	s.call("GET", "records?clause="+clause+"&statement="+url.QueryEscape(says), nil, &r)
	s.call("POST", "records", obj{"clause": clause, "statement": says, "observed_at": r.Observed, "valid_for": r.ValidFor, "signature": s.sign(r.Text)}, nil)
}

// propose changes values of the revision in force and returns the new version.
func (s *signer) propose(why string, edits map[string]document.Literal) string {
	s.t.Helper()
	var now struct{ YAML string }
	s.call("GET", "policy", nil, &now)
	doc, problems := document.Load([]byte(now.YAML), document.Shipped())
	if doc == nil {
		s.t.Fatal(document.Refusal(problems))
	}
	if doc, problems = document.Apply(doc, edits); doc == nil {
		s.t.Fatal(document.Refusal(problems))
	}
	var p struct{ Version string }
	s.call("POST", "policy/proposals", obj{"yaml": string(document.Print(doc)), "summary": why}, &p)
	return p.Version
}

// ask requests an exception for twelve days.
func (s *signer) ask(param, value, why string) string {
	s.t.Helper()
	var e struct{ ID string }
	s.call("POST", "exceptions", obj{"param": param, "value": value, "reason": why, "until": time.Now().Add(12 * 24 * time.Hour).UTC().Truncate(time.Second)}, &e)
	return e.ID
}

// grant signs an exception.
func (s *signer) grant(id string) {
	s.t.Helper()
	var all struct {
		Exceptions []struct {
			ID     string
			ToSign []toSign `json:"to_sign"`
		}
	}
	s.call("GET", "exceptions", nil, &all)
	for _, e := range all.Exceptions {
		if e.ID == id {
			s.call("POST", "exceptions/"+id+"/approve", obj{"signature": s.sign(s.textFor(e.ToSign))}, nil)
			return
		}
	}
	s.t.Fatalf("there is no exception %s", id)
}

// loss begins a practice in which data is lost, and has the application taken down by hand.
func (s *signer) loss() string {
	var c struct{ Ref string }
	s.call("POST", "incidents", obj{"title": "The address book is empty", "drill": true}, &c)
	at := "incidents/" + c.Ref
	s.call("POST", at+"/steps", obj{"event": "acknowledge"}, nil)
	s.call("POST", at+"/roles", obj{"role": "recovery-operator"}, nil)
	s.call("POST", at+"/kind", obj{"kinds": []string{"data-loss"}, "severity": 1}, nil)
	s.call("POST", at+"/steps", obj{"event": "take-down"}, nil)
	return c.Ref
}

// incident has one active incident with a part of the service, a public notice and a note,
// and gives its reference and its id on the status page.
func (s *signer) incident() (ref, public string) {
	var part struct{ ID string }
	s.call("POST", "status/components", obj{"name": "Sign-in", "group": "Accounts"}, &part)
	s.call("POST", "status/components", obj{"name": "Address book"}, nil)
	var c struct{ Ref string } // an alarm of this machine may have begun one before
	s.call("POST", "incidents", obj{"title": "Nobody can sign in", "component": "Sign-in"}, &c)
	s.call("POST", "incidents/"+c.Ref+"/steps", obj{"event": "acknowledge"}, nil)
	s.call("POST", "incidents/"+c.Ref+"/roles", obj{"role": "communications"}, nil)
	s.call("POST", "incidents/"+c.Ref+"/kind", obj{"kinds": []string{"usability"}, "severity": 2}, nil)
	s.call("POST", "incidents/"+c.Ref+"/updates", obj{"title": "Sign-in fails for some people", "state": "investigating", "body": "Some people cannot sign in. We look for the cause.", "impact": "major",
		"next": time.Now().Add(50 * time.Minute).UTC(), "components": obj{part.ID: "partial_outage"}}, nil)
	s.call("POST", "incidents/"+c.Ref+"/notes", obj{"text": "The certificate of the mail provider has ended; rang them."}, nil)
	s.call("POST", "status/windows", obj{"title": "New disks", "body": "The database moves to larger disks.", "starts": time.Now().Add(48 * time.Hour).UTC(), "ends": time.Now().Add(50 * time.Hour).UTC()}, nil)
	var one struct{ Posts []struct{ Public string } }
	s.call("GET", "incidents/"+c.Ref, nil, &one)
	return c.Ref, one.Posts[0].Public
}

// exposed is a breach with a set, papers and a text, which two people have dismissed: nothing
// is held for it.
func exposed(ana, ben, chloe, emil *signer) string {
	var c struct{ Ref string }
	ana.call("POST", "incidents", obj{"title": "Records were read by a stranger"}, &c)
	at := "incidents/" + c.Ref
	ana.call("POST", at+"/steps", obj{"event": "acknowledge"}, nil)
	for role, s := range map[string]*signer{"privacy-officer": ana, "technical-lead": ben, "scribe": chloe, "communications": emil} {
		s.call("POST", at+"/roles", obj{"role": role}, nil)
	}
	ana.call("POST", at+"/kind", obj{"kinds": []string{"breach"}, "severity": 3}, nil)
	now := time.Now().UTC()
	ana.call("POST", at+"/breach/scope", obj{"from": now.Add(-24 * time.Hour), "until": now.Add(-time.Second), "statement": "The server is younger than a day, and its pages have no kind of data."}, nil)
	ana.call("POST", at+"/breach/papers", obj{"kind": "vendor", "doc": obj{"name": "Cloud Co", "contact": "security@cloud.example", "case": "C-9", "questions": []string{"Which of your people could read it?"}}}, nil)
	ana.call("POST", at+"/breach/tasks", obj{"what": "Fill in their form 12", "owner": owners[1].address, "due": now.Add(24 * time.Hour)}, nil)
	ana.call("POST", at+"/breach/papers", obj{"kind": "dismissal", "doc": obj{"reason": "The file that was read held nobody's data."}}, nil)
	var x struct{ Papers []struct{ Hash string } }
	ana.call("GET", at+"/breach", nil, &x)
	for _, s := range []*signer{ana, ben} {
		s.call("POST", at+"/breach/signatures", obj{"object": "dismissal", "hash": x.Papers[0].Hash}, nil)
	}
	ana.call("POST", at+"/steps", obj{"event": "dismiss", "reason": "nobody's data was in it"}, nil)
	return c.Ref
}

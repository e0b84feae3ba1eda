package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/console"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/acme"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/identity/glass"
	"writ/internal/identity/oidc"
	"writ/internal/identity/passkey"
	"writ/internal/identity/scim"
	"writ/internal/identity/upstream"
	"writ/internal/incident"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/passhash"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/template"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/holders"
	"writ/internal/vault/item"
	"writ/internal/vault/keys"
	"writ/internal/vault/kms"
	"writ/internal/vault/ssm"
	"writ/internal/watch"
	"writ/internal/web"
)

// hashMemory is what all password hashes that run at once may take.
const hashMemory = 512 << 20

// modules are the parts of a server, in the order in which they are made.
type modules struct {
	jobs     *jobs.Jobs
	door     *canary.Door
	mail     *mail.Mailer
	access   *access.Access
	journal  *journal.Journal
	identity *identity.Service
	glass    *glass.Service
	oidc     *oidc.Service
	upstream *upstream.Service
	vault    *vault.Service
	keys     *keys.Service
	ssm      *ssm.Door
	kms      *kms.Service
	aws      *aws.Door
	holders  *holders.Service
	items    *item.Service
	gateway  *gateway.Gateway
	trail    *trail.Trail
	issuer   *acme.Source // nil: certificates are not issued by ACME
	incidents
	policy  *policy.Service
	check   *check.Runner
	console *console.Console
	deliver
	watching
}

// schemas lists every module's tables.
func schemas() []ledger.Schema {
	return []ledger.Schema{jobs.Schema(), journal.Schema(), identity.Schema(), vault.Schema(), gateway.Schema(), policy.Schema(), notify.Schema(), watch.Schema(), incident.Schema()}
}

// ruled is a module with parameters of the policy.
type ruled interface{ Slots() []clause.Slot }

// build makes every module. The public listener is bound already, because canaries
// must know where the door is.
func (a *App) build(ctx context.Context) (err error) {
	a.jobs = jobs.New(jobs.Deps{DB: a.db, Keys: a.ring, Now: a.now, Log: a.log.With("module", "jobs")})
	if a.mail, err = mail.New(mail.Deps{Queue: a.jobs, URL: a.config.Mail.URL, From: a.config.Mail.From, Now: a.now,
		Log: a.log.With("module", "mail"), Canary: func(m mail.Message) { a.door.Take(m) }, Sent: a.sent}); err != nil {
		return err
	}
	a.access = access.New(access.Deps{Log: a.db, Now: a.now})
	if a.journal, err = journal.New(journal.Deps{DB: a.db, Ring: a.ring, Jobs: a.jobs, Access: a.access, Origin: a.config.Origin(),
		Now: a.now, Log: a.log.With("module", "journal"), Revision: func() string { return a.policy.Version() }}); err != nil {
		return err
	}
	list, err := banned.New(banned.Options{Words: []string{a.config.Company, a.config.Hostname()}, File: a.config.Identity.BannedFile})
	if err != nil {
		return err
	}
	if err := a.buildIdentity(list); err != nil {
		return err
	}
	if a.vault, err = vault.New(vault.Deps{DB: a.db, Keys: a.ring, Access: a.access, Owners: keyOwners{a.identity}, Rules: clause.NewLive[vault.Rules](a.now), AutoAlias: a.config.Vault.AutoAlias, Database: secret.NewText(a.config.Database), ChangeType: a.config.Vault.ChangeType,
		Held: a.heldTeam, Now: a.now, Log: a.log.With("module", "vault")}); err != nil {
		return err
	}
	if err := a.buildItems(list); err != nil {
		return err
	}
	if err := a.buildKeys(); err != nil {
		return err
	}
	if err := a.buildHolders(); err != nil {
		return err
	}
	if err := a.buildWire(); err != nil {
		return err
	}
	if err := a.buildDeliver(); err != nil {
		return err
	}
	if err := a.buildWatch(); err != nil {
		return err
	}
	if err := a.buildGateway(); err != nil {
		return err
	}
	if err := a.buildIncidents(); err != nil {
		return err
	}
	if err := a.certificate(); err != nil {
		return err
	}
	a.door = canary.New(canary.Deps{Base: a.config.Origin(), Addr: a.https.Addr().String(), Roots: a.certs.Roots()})
	return a.buildPolicy()
}

func (a *App) buildIdentity(list *banned.List) error {
	makers, err := a.makers()
	if err != nil {
		return err
	}
	slots := passhash.Slots(runtime.GOMAXPROCS(0), hashMemory, passhash.Default(passhash.Argon2id, 16))
	a.identity, err = identity.New(identity.Deps{
		DB: a.db, Ring: a.ring, Mail: a.mail, Jobs: a.jobs, Rules: clause.NewLive[identity.Rules](a.now), Banned: list, Access: a.access, Record: a.journal,
		Company: func() string { return a.config.Company }, Origin: a.config.Origin(), Now: a.now, Log: a.log.With("module", "identity"),
		Gate: passhash.NewGate(slots, 16, hashWait), Raw: a.raw, TermsURL: a.config.TermsURL, Makers: makers, Ways: func(to string) []web.Link { return a.upstream.Ways(to) },
		Holds: a.held, Proof: a.journal.Export, Beside: func(ctx context.Context, person string, d *identity.OwnData) error {
			return errors.Join(a.oidc.Own(ctx, person, d), a.upstream.Own(ctx, person, d), a.ownHabits(ctx, person, d), a.ownIncidents(ctx, person, d))
		}})
	if err != nil {
		return err
	}
	if a.glass, err = glass.New(glass.Deps{DB: a.db, Ring: a.ring, People: a.identity, Mail: a.mail, Access: a.access, Rules: clause.NewLive[glass.Rules](a.now), Record: a.journal,
		Company: func() string { return a.config.Company }, Origin: a.config.Origin(), Now: a.now, Log: a.log.With("module", "glass"), Plant: a.identity.PlantStaff}); err != nil {
		return err
	}
	a.identity.SetEmergency(a.glass)
	if a.upstream, err = upstream.New(upstream.Deps{DB: a.db, Ring: a.ring, People: a.identity, Providers: a.config.Identity.Upstream, Origin: a.config.Origin(),
		Now: a.now, Log: a.log.With("module", "upstream"), ReadFile: a.readSecret}); err != nil {
		return err
	}
	a.oidc, err = oidc.New(oidc.Deps{DB: a.db, Ring: a.ring, People: a.identity, Jobs: a.jobs, Access: a.access, Origin: a.config.Origin(),
		Out: &http.Transport{Proxy: nil, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true}, Now: a.now, Log: a.log.With("module", "oidc"), Plant: a.identity.Plant, Raise: a.identity.Raise})
	return err
}

// makers reads whose passkeys are taken; nil = anybody's. A file that is named and cannot
// be read keeps the server from starting: to take any passkey instead would be less.
func (a *App) makers() (*passkey.Makers, error) {
	name := a.config.Identity.Metadata
	if name == "" {
		return nil, nil
	}
	b, err := a.readSecret(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "passkey_metadata", fault.Public{
			Problem: "identity.passkey_metadata: " + err.Error() + ".", Expected: "A file of the FIDO Metadata Service that this server can read.",
			Next: "Put it there, or take the setting out of " + configName + "; then any passkey is taken."})
	}
	m, err := passkey.ReadMakers(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a.log.Info("passkeys are taken of listed makers only", "file", name, "models", m.Len())
	return m, nil
}

func (a *App) buildGateway() error {
	upstreams, err := a.upstreams()
	if err != nil {
		return err
	}
	if a.trail, err = trail.New(trail.Deps{DB: a.db, Keys: a.ring, Access: a.access, Dir: a.path("segments"), Now: a.now, Log: a.log.With("module", "gateway"),
		Held:     func(ctx context.Context) (bool, error) { return a.incident.HoldStands(ctx) },
		Revision: func(at time.Time) string { return a.policy.VersionAt(at) }, Seen: a.countRequest}); err != nil {
		return err
	}
	a.jobs.Every("gateway-records", 24*time.Hour, a.trail.Sweep)
	programs, err := a.programs()
	if err != nil {
		return err
	}
	out, err := a.egress()
	if err != nil {
		return err
	}
	a.gateway, err = gateway.New(gateway.Deps{
		DB: a.db, Rules: clause.NewLive[gateway.Rules](a.now), Sessions: gateSessions{a.identity}, Tokens: a.identity, Access: a.access, Keys: a.ring,
		Origin: a.origin, Upstreams: upstreams, Zones: gateway.Zones{Local: a.config.Gateway.Zone, Health: a.config.Gateway.Health, Sticky: a.config.Gateway.Sticky},
		CacheMax: int64(a.config.Gateway.Cache) << 20, RoutesFile: a.path("routes.yaml"), Asks: a.config.Gateway.Resolver, Now: a.now, Log: a.log.With("module", "gateway"),
		Fail: func(w http.ResponseWriter, r *http.Request, err error) { a.web.Fail(w, r, err) }, Listening: a.listening, Proxies: a.config.proxies(), Hosts: a.config.Hosts, Outbound: a.config.outbound, Programs: programs, Trail: a.trail, WAF: a.config.Gateway.WAF.settings(), Egress: out,
		Stores: a.stores, Look: a.identity.WhenLooked, Plant: func(ctx context.Context, door *canary.Door, control string) (gateway.Planted, func(), error) {
			p, end, err := a.identity.Plant(ctx, door, control)
			return gateway.Planted{Email: p.Email, Password: p.Password}, end, err
		}})
	return err
}

func (a *App) buildPolicy() (err error) {
	controls := slices.Concat(a.identity.Controls(a.door), a.identity.DirectoryControls(a.door), a.glass.Controls(a.door), a.oidc.Controls(a.door), a.gateway.Controls(a.door), a.journal.Controls(),
		a.vault.Controls(),
		a.ssm.Controls(a.door),
		a.keys.Controls(),
		a.holders.Controls(),
		a.scan.Controls(),
		a.rotate.Controls(),
		a.items.Controls(a.door),
		a.items.HolderControls(),
		a.watch.Controls(),
		a.spend.Controls(),
		a.incident.Controls(a.door),
	)
	var slots []clause.Slot
	for _, m := range []ruled{a.access, a.identity, a.glass, a.vault, a.keys, a.holders, a.items, a.scan, a.gateway, a.journal, a.watch, a.spend, a.incident} {
		slots = append(slots, m.Slots()...)
	}
	if a.policy, err = policy.New(policy.Deps{DB: a.db, People: lawPeople{a.identity}, Access: a.access, Slots: slots, Template: template.YAML(),
		Now: a.now, Log: a.log.With("module", "policy"), Controls: controls,
		Forecasts: map[string]clause.Forecaster{"identity": a.identity}, Able: lawPeople{a.identity}.Able, Waived: a.waived}); err != nil {
		return err
	}
	if a.check, err = check.New(check.Deps{DB: a.db, Law: a.policy, Access: a.access, Controls: append(controls, a.policy.Controls(a.door)...),
		Now: a.now, Log: a.log.With("module", "check"), Index: a.entryNumber}); err != nil {
		return err
	}
	a.check.Schedule(a.jobs)
	a.keys.Schedule(a.jobs)
	a.journal.Follow("check", a.recheck)
	return nil
}

// face makes the pages and mounts every module's routes.
func (a *App) face() (err error) {
	if a.web, err = web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: a.config.Company} }, Now: a.now,
		Log: a.log.With("module", "web"), Title: a.config.Company, Version: Version}); err != nil {
		return err
	}
	if a.console, err = console.New(console.Deps{Company: a.config.Company, Origin: a.config.Origin(), Policy: a.policy, Check: a.check,
		Journal: a.journal, Identity: a.identity, Clients: a.oidc, Glass: a.glass, Items: a.items, Gateway: a.gateway, Trail: a.trail, Jobs: a.jobs, Access: a.access, Now: a.now,
		Disclosure: a.config.SecurityText.read(),
		Vault:      a.vault,
		Scans:      a.scan,
		Bundles:    a.bundle,
		Rotations:  a.rotate,
		KMS:        a.kms,
		Encryption: a.keys,
		Holders:    a.holders,
		Watch:      a.watch,
		Spending:   a.spend,
		OnCall:     a.rota,
		Incidents:  a.incident,
		Status:     a.status,
	}); err != nil {
		return err
	}
	a.web.SetChrome(a.console.Chrome)
	a.web.SetBanner(a.banner)
	directories, err := scim.New(scim.Deps{Directory: a.identity, Origin: a.config.Origin(), Now: a.now})
	if err != nil {
		return err
	}
	if err := a.web.AddAssets(seal.Assets, "assets"); err != nil {
		return err
	}
	return a.web.Mount(slices.Concat(health(), directories.Routes(), a.identity.Routes(), a.identity.Pages(), a.glass.Routes(), a.oidc.Routes(), a.upstream.Routes(), a.gateway.Routes(), a.trail.Routes(), a.journal.Routes(),
		a.aws.Routes(),
		a.kms.Routes(),
		a.vault.Routes(),
		a.keys.Routes(),
		a.holders.Routes(),
		a.items.Routes(),
		a.transfer.Routes(),
		a.bundle.Routes(),
		a.rotate.Routes(),
		a.scan.Routes(),
		a.watch.Routes(),
		a.watch.ReportRoutes(),
		a.spend.Routes(),
		a.feed.Routes(),
		a.rota.Routes(),
		a.incidents.Routes(),
		a.policy.Routes(), a.check.Routes(), a.console.Routes())...)
}

// start puts the policy in force and loads what modules keep in memory.
func (a *App) start(ctx context.Context) error {
	if err := a.policy.Start(ctx); err != nil {
		return err
	}
	if err := a.keys.Start(ctx); err != nil {
		return err
	}
	if err := a.identity.Load(ctx); err != nil {
		return err
	}
	defer a.opened.Wipe()
	if err := a.holders.Resume(ctx, a.opened); err != nil {
		return err
	}
	return a.gateway.Start(ctx)
}

// runs are the modules' own work, until the context ends.
func (a *App) runs() []func(context.Context) error {
	return []func(context.Context) error{a.jobs.Run, a.journal.Run, a.identity.Run, a.glass.Run, a.oidc.Run, a.upstream.Run, a.vault.Run, a.holders.Run, a.items.Run, a.gateway.Run, a.trail.Run, a.policy.Run, a.watch.Run, a.feed.Run, a.runIssuer, a.incident.Run, a.runIntake}
}

// recheck looks again at the clauses about the policy itself when one of its facts is in
// the journal: a signature shows at once, not at the next hour.
func (a *App) recheck(_ context.Context, entries []journal.Entry) error {
	for _, e := range entries {
		if e.Stream == "vault.scan-finished" || e.Stream == "vault.scan-hit-decided" {
			a.check.Soon("vault.secret-home")
			continue
		}
		if e.Stream == "vault.rotation-failed" || e.Stream == "vault.secret-rotated" {
			a.check.Soon("crypto.key-rotation")
			continue
		}
		if module, _, _ := strings.Cut(e.Stream, "."); slices.Contains([]string{"policy", "exception", "record"}, module) && e.Stream != "policy.act-refused" {
			a.check.Soon("gov.")
			return nil
		}
	}
	return nil
}

// entryNumber is the number of an entry in the journal, once it has one.
func (a *App) entryNumber(ctx context.Context, id string) (int64, bool) {
	e, err := a.journal.ByID(ctx, id)
	return e.N, err == nil
}

// lawPeople gives the policy its people: the document writes person/ana where identity
// keeps the handle ana.
type lawPeople struct{ s *identity.Service }

const personPrefix = "person/"

// PersonByHandle implements policy.People.
func (p lawPeople) PersonByHandle(ctx context.Context, ref string) (string, bool, error) {
	handle, ok := strings.CutPrefix(ref, personPrefix)
	if !ok {
		return "", false, fault.Newf(fault.NotFound, "no_person", "%q is not written as person/HANDLE.", ref)
	}
	return p.s.PersonByHandle(ctx, handle)
}

// Able counts the owners who could sign in under other values.
func (p lawPeople) Able(ctx context.Context, v clause.Values, owners []string) (int, error) {
	handles := make([]string, len(owners))
	for i, o := range owners {
		handles[i] = strings.TrimPrefix(o, personPrefix)
	}
	return p.s.Able(ctx, v, handles)
}

// Handle implements policy.People.
func (p lawPeople) Handle(ctx context.Context, id string) (string, error) {
	h, err := p.s.Handle(ctx, id)
	if err != nil {
		return "", err
	}
	return personPrefix + h, nil
}

// gateSessions gives the gate what it asks of identity.
type gateSessions struct{ s *identity.Service }

// Fresh implements gateway.Sessions.
func (g gateSessions) Fresh(ctx context.Context, who actor.Actor, maxAge time.Duration) error {
	return g.s.Fresh(ctx, who, maxAge)
}

// Standing implements gateway.Sessions.
func (g gateSessions) Standing(ctx context.Context, who actor.Actor) (actor.Actor, error) {
	return g.s.Standing(ctx, who)
}

// Lookup implements gateway.Sessions.
func (g gateSessions) Lookup(ctx context.Context, token secret.Text) (actor.Actor, gateway.SessionFacts, error) {
	who, session, err := g.s.Session(ctx, token)
	facts := gateway.SessionFacts{SignedIn: session.Started}
	if session.Gained {
		facts.Renew = func(ctx context.Context, w http.ResponseWriter) (actor.Actor, error) {
			now, _, err := g.s.RenewFrom(ctx, w, who, token)
			return now, err
		}
	}
	return who, facts, err
}

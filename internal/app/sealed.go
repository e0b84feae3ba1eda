package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/passkey"
	"writ/internal/keyring"
	"writ/internal/listen"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault/holders"
	"writ/internal/vault/unseal"
	"writ/internal/web"
)

// ErrSealed is how Serve ends when the vault was sealed by command.
var ErrSealed = errors.New("the vault was sealed")

// sealedRenew is how early a certificate is replaced before the policy can say.
const sealedRenew = 30 * 24 * time.Hour

// kmsTime bounds the wait for a key management service.
const kmsTime = 20 * time.Second

// kmsClient asks a key management service.
func kmsClient() *http.Client {
	return &http.Client{Timeout: kmsTime, Transport: &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// unsealed finds the root key as writ.yaml declares, or waits for the holders of shares;
// nothing where the keyring reads root.key by itself.
func (a *App) unsealed(ctx context.Context) (secret.Bytes, error) { // clause: people.no-sole-holder
	a.source = unseal.New(a.config.Vault.Unseal, a.dir, unseal.Signer{Now: a.now, Send: kmsClient().Do})
	if a.setup {
		return secret.Bytes{}, nil
	}
	b, err := a.boot.Read()
	if err != nil {
		return secret.Bytes{}, err
	}
	if a.source.Provider() == unseal.Shares || b.Sealed {
		if b.Set == nil {
			return secret.Bytes{}, fault.New(fault.Sealed, "no_shares", fault.Public{Problem: "The vault is to be opened by shares, and there are none.",
				Expected: "A set of shares in " + seal.Name + ".", Next: "Take vault.unseal out of " + configName + ", start, and appoint holders: writ vault holders appoint."})
		}
		return a.waitForShares(ctx)
	}
	root, err := a.source.Root(ctx)
	if err != nil {
		return secret.Bytes{}, err
	}
	if err := a.boot.Note(a.now(), seal.Line{What: seal.WasAuto, Cause: a.source.Provider()}); err != nil {
		return secret.Bytes{}, err
	}
	if a.source.Provider() == unseal.File { // the keyring knows its file, and names it when it does not fit
		root.Wipe()
		return secret.Bytes{}, nil
	}
	return root, nil
}

// waitForShares serves the page of the holders, and nothing else, until the root is there.
func (a *App) waitForShares(ctx context.Context) (root secret.Bytes, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := a.boot.Note(a.now(), seal.Line{What: seal.WasSealed, Cause: "start"}); err != nil {
		return secret.Bytes{}, err
	}
	gate, err := seal.NewGate(seal.Deps{File: a.boot, Act: seal.Open, Now: a.now, Passkeys: a.holdersPasskeys(), Fingerprint: keyring.Fingerprint,
		Note: func(_ context.Context, l seal.Line) error { return a.boot.Note(a.now(), l) },
		Whole: func(_ context.Context, set string, whole secret.Bytes) error {
			root, a.openedSet = secret.NewBytes(whole.Reveal()), set
			stop() // the answer to the last share still goes out
			return nil
		}})
	if err != nil {
		return secret.Bytes{}, err
	}
	defer gate.Close()
	if err := a.serveSealed(ctx, gate); err != nil {
		return secret.Bytes{}, err
	}
	if root.IsZero() {
		return secret.Bytes{}, context.Cause(ctx)
	}
	a.opened = secret.NewBytes(root.Reveal())
	return root, nil
}

// openKeys opens the keyring. That shares opened the vault counts, and is written, in one
// step after their root was seen to open every key.
func (a *App) openKeys(ctx context.Context, root secret.Bytes) (err error) { // clause: people.no-sole-holder
	o := a.config.keysIn(a.dir, a.now)
	o.Given = root
	if err := a.restoreWaiting(ctx, o); err != nil {
		return err
	}
	if a.ring, err = keyring.Open(ctx, o); err != nil {
		return err
	}
	a.closers = append(a.closers, a.ring.Close)
	if a.opened.IsZero() {
		return nil
	}
	err = a.boot.Change(func(b *seal.Boot) error {
		b.Sealed = false
		return b.Note(a.now(), seal.Line{What: seal.WasOpened, Set: a.openedSet})
	})
	if err != nil {
		return err
	}
	a.log.Info("unsealed")
	return a.source.Keep(root)
}

// serveSealed opens the doors of a sealed server until ctx ends.
func (a *App) serveSealed(ctx context.Context, gate *seal.Gate) error {
	if err := errors.Join(a.bind(), a.certificate()); err != nil {
		return err
	}
	socket, err := listenSocket(a.dir, a.boot)
	if err != nil {
		return err
	}
	operators, err := newSocketDoor(a.config.Operators)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	public, err := a.sealedFace(gate, nobody{})
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	local, err := a.sealedFace(gate, operators)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	doors := []listen.Door{{Name: "https", Listener: a.https, TLS: listen.TLSConfig(a.certs, func() uint16 { return tls.VersionTLS12 }, false, a.now), Handler: a.withCopy(public)}}
	if a.http != nil {
		doors = append(doors, listen.Door{Name: "http", Listener: a.http, Handler: listen.Beside(listen.Redirector(a.origin), a.config.Status.Host)})
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	end := make(chan error, 1)
	go func() { end <- serveSocket(ctx, socket, operators, local); stop() }()
	a.log.Warn("sealed", "unseal", a.config.Origin()+seal.At, "https", a.https.Addr().String(), "http", addr(a.http), "socket", socket.Addr().String())
	err = listen.Serve(ctx, a.log, doors...)
	stop()
	return errors.Join(err, <-end)
}

func (a *App) sealedFace(gate *seal.Gate, door web.Door) (http.Handler, error) {
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: a.config.Company} }, Now: a.now, Log: a.log.With("module", "web"), Title: a.config.Company, Version: Version})
	if err != nil {
		return nil, err
	}
	d, err := seal.NewDoor(a.now, func() *seal.Gate { return gate })
	if err != nil {
		return nil, err
	}
	return seal.Serving(site, door, d)
}

// nobody is the door of a server that knows nobody yet.
type nobody struct{}

// Identify implements web.Door.
func (nobody) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

// Seal ends this process's use of the keys: Serve ends with ErrSealed, and a start waits for
// the holders, however it comes about.
func (a *App) Seal() error {
	stop := a.stop.Load()
	if stop == nil {
		return fault.Newf(fault.Unavailable, "not_serving", "The server does not serve.")
	}
	if err := a.boot.Change(func(b *seal.Boot) error { b.Sealed = true; return nil }); err != nil {
		return err
	}
	a.sealing.Store(true)
	(*stop)()
	return nil
}

// heldPasskeys judges the passkeys of holders.
type heldPasskeys struct{ party *passkey.Party }

// holdersPasskeys is nil where the server's address has no name to bind passkeys to.
func (a *App) holdersPasskeys() seal.Passkeys {
	p, err := passkey.New(a.config.Origin(), a.now)
	if err != nil {
		return nil
	}
	return heldPasskeys{p}
}

func held(of []seal.Passkey) ([]passkey.Held, error) {
	out := make([]passkey.Held, len(of))
	for i, k := range of {
		r, err := passkey.ReadRecord(k.Record)
		if err != nil {
			return nil, err
		}
		out[i] = passkey.Held{Record: r, Salt: k.Salt}
	}
	return out, nil
}

// Ask implements seal.Passkeys.
func (h heldPasskeys) Ask(challenge []byte, of []seal.Passkey) (json.RawMessage, error) {
	keys, err := held(of)
	if err != nil {
		return nil, err
	}
	return h.party.AskHeld(challenge, keys)
}

// Judge implements seal.Passkeys.
func (h heldPasskeys) Judge(challenge []byte, of []seal.Passkey, answer []byte) (int, json.RawMessage, error) {
	keys, err := held(of)
	if err != nil {
		return 0, nil, err
	}
	i, r, err := h.party.ProvedHeld(challenge, keys, answer)
	if err != nil {
		return 0, nil, err
	}
	b, err := r.Bytes()
	return i, b, err
}

// buildHolders makes who holds the root key.
func (a *App) buildHolders() (err error) {
	c := a.config.Vault.Unseal
	d := holders.Deps{DB: a.db, Ring: a.ring, File: a.boot, People: holdersPeople{a.identity}, Passkeys: a.holdersPasskeys(), Mail: a.mail, Access: a.access,
		Rules: clause.NewLive[holders.Rules](a.now), Fingerprint: keyring.Fingerprint, Company: func() string { return a.config.Company }, Origin: a.config.Origin(), Now: a.now,
		Log: a.log.With("module", "holders"), Alone: c.Is() == unseal.Shares, Root: a.source.Root, RootFile: a.path("root.key"), Weakness: c.Weakness(a.dir), Seal: a.Seal, Shared: a.config.Keys.URL != "", Demo: a.config.Vault.Demo}
	if p, err := passkey.New(a.config.Origin(), a.now); err == nil { // an address of numbers: key files only
		d.Enroller = enroller{p, a.config.Company}
	}
	a.holders, err = holders.New(d)
	return err
}

// holdersPeople gives the holders of the root key what they need of identity.
type holdersPeople struct{ *identity.Service }

// Find implements holders.People.
func (h holdersPeople) Find(ctx context.Context, who actor.Actor, ref string) (holders.Person, error) {
	p, err := h.Show(ctx, who, ref)
	return holders.Person{ID: p.ID, Name: p.Name, Email: p.Email}, err
}

// Staffed implements holders.People.
func (h holdersPeople) Staffed(ctx context.Context, id string) (bool, error) {
	p, err := h.ActivePerson(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && staffed(p), err
}

func staffed(p identity.Person) bool {
	return slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(access.StaffRoles(), r) })
}

// Owners implements holders.People.
func (h holdersPeople) Owners(ctx context.Context) (out []string, err error) {
	after := ""
	for {
		page, err := h.List(ctx, actor.System("vault-holders"), after)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, p := range page {
			after = p.ID
			if ok, err := h.Staffed(ctx, p.ID); err != nil {
				return nil, err
			} else if ok && slices.Contains(p.Roles, "owner") {
				out = append(out, p.ID)
			}
		}
	}
}

// enroller asks for the passkeys of holders.
type enroller struct {
	party *passkey.Party
	site  string
}

// Ask implements holders.Enroller.
func (e enroller) Ask(name string, salt []byte) (flow []byte, options json.RawMessage, err error) {
	c, options, err := e.party.CreateHeld(e.site, passkey.Owner{Handle: passkey.NewHandle(), Name: name}, salt)
	if err != nil {
		return nil, nil, err
	}
	flow, err = c.Bytes()
	return flow, options, err
}

// Judge implements holders.Enroller.
func (e enroller) Judge(flow, answer []byte) (json.RawMessage, error) {
	c, err := passkey.ReadCeremony(flow)
	if err != nil {
		return nil, err
	}
	r, err := e.party.Created(c, answer)
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

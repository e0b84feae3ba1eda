package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/identity"
	page "writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/vault"
	"writ/internal/web"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets/console.css
var styles []byte

//go:embed assets/chart.css
var chartStyles []byte

// Deps is what a Console needs. The last group may be nil: then it has no pages of those.
type Deps struct {
	Company  string // the customer-facing name
	Origin   string // https://app.example.com
	Policy   *policy.Service
	Check    *check.Runner
	Journal  *journal.Journal
	Identity *identity.Service
	Gateway  *gateway.Gateway
	Trail    Trail // access records
	Jobs     *jobs.Jobs
	Access   *access.Access
	Now      func() time.Time

	Clients    Clients        // applications
	Glass      Glass          // break-glass
	Items      Items          // the company's vault
	Vault      *vault.Service // parameters
	Encryption Encryption     // keys
	Holders    Holders        // of the root key
	Scans      Scans          // where secrets should not be
	Bundles    Bundles        // values that machines carry
	Rotations  Rotations      // values that replace themselves
	Watch      Watch          // alarms
	Spending   Spending       // budgets
	OnCall     OnCall         // who is on call
	Incidents  Incidents
	Status     *page.Service // the public page; goes with Incidents
	KMS        KMS           // keys that programs encrypt with

	Disclosure gateway.Disclosure // what security.txt says beside the policy
}

// Console is the pages. It is safe for concurrent use.
type Console struct {
	Deps
	pages *web.Pages
	style string // address of the style sheet
	chart string // and of the one that charts have

	mu     sync.Mutex
	seen   *look
	proofs map[string]proof // the last proof of each clause that was asked for here
}

// New makes a Console.
func New(d Deps) (*Console, error) {
	if d.Policy == nil || d.Check == nil || d.Journal == nil || d.Identity == nil || d.Gateway == nil || d.Jobs == nil || d.Access == nil || d.Now == nil {
		return nil, errors.New("console: all dependencies are required")
	}
	c := &Console{Deps: d, style: lookAt(styles), chart: lookAt(chartStyles), proofs: map[string]proof{}}
	var err error
	c.pages, err = web.NewPages(templates, web.Funcs{Now: d.Now, More: map[string]any{"style": func() string { return c.style }, "chartstyle": func() string { return c.chart }}})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return c, nil
}

// lookAt is the address of a style sheet.
func lookAt(sheet []byte) string {
	sum := sha256.Sum256(sheet)
	return "/-/console/look/" + hex.EncodeToString(sum[:6]) + ".css"
}

// The places of the rail.
const (
	atPolicy     = "/-/console"
	atRevisions  = "/-/console/revisions"
	atExceptions = "/-/console/exceptions"
	atRecords    = "/-/console/records"
	atKeys       = "/-/console/keys"
	atFindings   = "/-/console/findings"
	atPeople     = "/-/console/people"
	atRights     = "/-/console/rights"
	atReviews    = "/-/console/reviews"
	atGate       = "/-/console/gate"
	atRequests   = "/-/console/gate/requests"
	atMail       = "/-/console/mail"
	atJournal    = "/-/console/journal"
)

type hereKey struct{}

const (
	bigForm = 2 << 20 // a whole policy file
	sigForm = 64 << 10
)

// Routes are the pages. Each names the action it needs; the operations behind the forms
// ask again.
func (c *Console) Routes() []web.Route {
	staff := func(pattern string, need access.Action, at string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Staff, Limit: sigForm, Handle: func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
			if err := c.Access.Allow(r.Context(), who, need, ""); err != nil {
				return err
			}
			return h(w, r.WithContext(context.WithValue(r.Context(), hereKey{}, at)), who)
		}}
	}
	prove := staff("POST /-/console/clauses/{id}/prove", access.CheckRun, atPolicy, c.prove)
	prove.Time = 10 * time.Minute
	preview := staff("POST /-/console/propose/preview", access.PolicyPropose, atRevisions, c.preview)
	propose := staff("POST /-/console/propose", access.PolicyPropose, atRevisions, c.propose)
	preview.Limit, propose.Limit = bigForm, bigForm
	return slices.Concat(c.provisioningRoutes(staff), []web.Route{
		staff("GET /-/console", access.PolicyRead, atPolicy, c.showPolicy),
		staff("GET /-/console/policy.yaml", access.PolicyRead, atPolicy, c.download),
		staff("GET /-/console/clauses/{id}", access.PolicyRead, atPolicy, c.showClause),
		prove,
		staff("GET /-/console/revisions", access.PolicyRead, atRevisions, c.showRevisions),
		staff("GET /-/console/revisions/{version}", access.PolicyRead, atRevisions, c.showRevision),
		staff("GET /-/console/revisions/{version}/text", access.PolicyRead, atRevisions, c.revisionText),
		staff("POST /-/console/revisions/{version}/sign", access.PolicyRead, atRevisions, c.signRevision),
		staff("POST /-/console/revisions/{version}/reject", access.PolicyApprove, atRevisions, c.rejectRevision),
		staff("POST /-/console/revisions/{version}/withdraw", access.PolicyWithdraw, atRevisions, c.withdrawRevision),
		staff("GET /-/console/propose", access.PolicyPropose, atRevisions, c.showPropose),
		preview, propose,
		staff("GET /-/console/keys", access.PolicyRead, atKeys, c.showKeys),
		staff("GET /-/console/keys/text", access.KeyRegister, atKeys, c.keyText),
		staff("POST /-/console/keys", access.KeyRegister, atKeys, c.registerKey),
		staff("POST /-/console/keys/revoke", access.PolicyRead, atKeys, c.revokeKey),
		staff("GET /-/console/findings", access.PolicyRead, atFindings, c.showFindings),
		staff("GET /-/console/exceptions", access.PolicyRead, atExceptions, c.showExceptions),
		staff("GET /-/console/exceptions/new", access.ExceptionRequest, atExceptions, c.newException),
		staff("POST /-/console/exceptions", access.ExceptionRequest, atExceptions, c.requestException),
		staff("GET /-/console/exceptions/{id}", access.PolicyRead, atExceptions, c.showException),
		staff("GET /-/console/exceptions/{id}/text", access.PolicyRead, atExceptions, c.exceptionText),
		staff("POST /-/console/exceptions/{id}/sign", access.PolicyRead, atExceptions, c.signException),
		staff("POST /-/console/exceptions/{id}/revoke", access.ExceptionRevoke, atExceptions, c.revokeException),
		staff("GET /-/console/records", access.PolicyRead, atRecords, c.showRecords),
		staff("GET /-/console/attest", access.RecordSign, atRecords, c.showAttest),
		staff("GET /-/console/attest/text", access.RecordSign, atRecords, c.recordText),
		staff("POST /-/console/attest", access.RecordSign, atRecords, c.attest),
		staff("GET /-/console/journal", access.JournalRead, atJournal, c.showJournal),
		staff("GET /-/console/journal/{n}", access.JournalRead, atJournal, c.showEntry),
		staff("POST /-/console/journal/{n}/open", access.JournalRead, atJournal, c.openEntry),
		staff("GET /-/console/people", access.PeopleRead, atPeople, c.showPeople),
		staff("GET /-/console/people/add", access.PeopleManage, atPeople, c.newPerson),
		staff("POST /-/console/people", access.PeopleManage, atPeople, c.addPerson),
		staff("GET /-/console/people/tokens", access.TokensRead, atPeople, c.showTokens),
		staff("POST /-/console/people/tokens/end", access.TokensManage, atPeople, c.endToken),
		staff("GET /-/console/people/brought-over", access.PeopleRead, atPeople, c.showImports),
		staff("GET /-/console/people/{id}", access.PeopleRead, atPeople, c.showPerson),
		staff("POST /-/console/people/{id}/link", access.PeopleManage, atPeople, c.renewLink),
		staff("POST /-/console/people/{id}/disable", access.PeopleManage, atPeople, c.disable),
		staff("POST /-/console/people/{id}/erase", access.PeopleErase, atPeople, c.erase),
		staff("POST /-/console/people/{id}/sessions/end", access.SessionsEnd, atPeople, c.endSessions),
		staff("POST /-/console/people/{id}/browsers/forget", access.SessionsEnd, atPeople, c.forgetBrowsers),
		staff("GET /-/console/rights", access.RightsRead, atRights, c.showRights),
		staff("POST /-/console/rights/lend", access.RightsRead, atRights, c.lendRole),
		staff("POST /-/console/rights/approve", access.RoleGrant, atRights, c.approveLoan),
		staff("POST /-/console/rights/revoke", access.RightsRead, atRights, c.revokeLoan), // the holder may give back
		staff("POST /-/console/rights/need", access.RoleGrant, atRights, c.endNeed),
		staff("GET /-/console/reviews", access.RightsRead, atReviews, c.showReviews),
		staff("POST /-/console/reviews", access.ReviewOpen, atReviews, c.openReview),
		staff("GET /-/console/reviews/{id}", access.RightsRead, atReviews, c.showReview),
		staff("POST /-/console/reviews/{id}/decide", access.ReviewDecide, atReviews, c.decideRight),
		staff("POST /-/console/reviews/{id}/close", access.ReviewOpen, atReviews, c.closeReview),
		staff("GET /-/console/sessions", access.PolicyRead, "", func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
			return web.Redirect(w, r, "/-/account")
		}),
		staff("GET /-/console/gate", access.GateRead, atGate, c.showGate),
		staff("GET /-/console/gate/requests", access.JournalRead, atGate, c.showRequests),
		staff("GET /-/console/gate/explain", access.GateRead, atGate, c.showExplain),
		staff("POST /-/console/gate/mode", access.GateMaintain, atGate, c.setMode),
		staff("GET /-/console/gate/finds", access.GateRead, atGate, c.showFinds),
		staff("GET /-/console/gate/finds/except", access.GateMaintain, atGate, c.askFindException),
		staff("POST /-/console/gate/finds/except", access.GateMaintain, atGate, c.exceptFind),
		staff("POST /-/console/gate/finds/end", access.GateMaintain, atGate, c.endFindException),
		staff("GET /-/console/gate/egress", access.GateRead, atGate, c.showEgress),
		staff("GET /-/console/gate/egress/new", access.GateMaintain, atGate, c.newDestination),
		staff("POST /-/console/gate/egress/new", access.GateMaintain, atGate, c.listDestination),
		staff("POST /-/console/gate/egress/remove", access.GateMaintain, atGate, c.removeDestination),
		staff("POST /-/console/gate/purge", access.GateMaintain, atGate, c.purge),
		staff("GET /-/console/mail", access.MailRead, atMail, c.showMail),
		staff("GET /-/console/find", access.PolicyRead, "", c.find),
	}, c.public(), c.erasedRoutes(), c.clientRoutes(staff), c.glassRoutes(staff), c.teamRoutes(staff), c.resetRoutes(staff),
		c.vaultRoutes(),
		c.itemRoutes(staff),
		c.scanRoutes(staff),
		c.encryptionRoutes(staff),
		c.holdersRoutes(staff),
		c.watchRoutes(staff),
		c.budgetRoutes(staff),
		c.onCallRoutes(staff),
		c.incidentRoutes(staff),
		c.blockRoutes(staff),
	)
}

// public are the addresses for everybody.
func (c *Console) public() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/trust", Who: web.Anyone, Handle: c.showTrust},
		{Pattern: "GET /-/trust.json", Who: web.Anyone, Handle: c.trustJSON},
		{Pattern: "GET /.well-known/security.txt", Who: web.Anyone, Handle: c.securityText},
		{Pattern: "GET /.well-known/writ", Who: web.Anyone, Handle: c.wellKnown},
		{Pattern: "GET /-/console/look/{name}", Who: web.Anyone, Handle: c.sheet},
	}
}

// sheet serves a style sheet under its hash.
func (c *Console) sheet(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	sheet, ok := map[string][]byte{c.style: styles, c.chart: chartStyles}[r.URL.Path]
	if !ok {
		return fault.New(fault.NotFound, "not_found", fault.Public{Problem: "There is no such file."})
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := w.Write(sheet)
	return err
}

// show answers with a page of the console.
func (c *Console) show(w http.ResponseWriter, r *http.Request, name string, v web.View) error {
	return c.answer(w, r, http.StatusOK, name, v)
}

func (c *Console) answer(w http.ResponseWriter, r *http.Request, status int, name string, v web.View) error {
	if v.Frame == "" {
		v.Frame = web.Console
	}
	if r.Method == http.MethodGet && status == http.StatusOK && r.URL.Query().Get("as") == "csv" {
		return c.asCSV(w, r, v)
	}
	return c.pages.Render(w, r, status, name, v)
}

// done tells what happened and leads on.
func (c *Console) done(w http.ResponseWriter, r *http.Request, to, says string) error {
	c.forget()
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, to)
}

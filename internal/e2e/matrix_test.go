package e2e

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"writ/internal/access"
	"writ/internal/policy/policytest"
)

// asks is the right that each staff route of the API asks for, beyond those of package
// identity, which has its own table. An act on what is one's own is not here.
var asks = map[string]access.Action{
	"GET policy": access.PolicyRead, "GET policy/at": access.PolicyRead, "GET policy/log": access.PolicyRead, "GET policy/diff": access.PolicyRead, "POST policy/lint": access.PolicyRead,
	"GET policy/proposals": access.PolicyRead, "POST policy/proposals": access.PolicyPropose, "GET policy/proposals/{v}": access.PolicyRead,
	"POST policy/proposals/{v}/reject": access.PolicyApprove, "POST policy/proposals/{v}/withdraw": access.PolicyWithdraw,
	"GET keys": access.PolicyRead, "POST keys": access.KeyRegister, "GET exceptions": access.PolicyRead, "POST exceptions": access.ExceptionRequest,
	"POST exceptions/{id}/revoke": access.ExceptionRevoke, "GET records": access.PolicyRead,
	// These carry a signature, and that decides, whoever brings it.
	"POST policy/proposals/{v}/approve": access.PolicyRead, "POST exceptions/{id}/approve": access.PolicyRead, "POST records": access.PolicyRead,
	"GET check": access.PolicyRead, "GET findings": access.PolicyRead, "POST prove": access.CheckRun,
	"GET gateway": access.GateRead, "GET gateway/explain": access.GateRead, "PUT gateway/mode": access.GateMaintain, "POST gateway/reload": access.GateMaintain, "POST gateway/cache/purge": access.GateMaintain,
	"GET gateway/records": access.JournalRead, "GET gateway/records/export": access.JournalExport,
	"GET gateway/blocks": access.GateRead, "POST gateway/blocks": access.GateMaintain, "POST gateway/blocks/remove": access.GateMaintain, "GET gateway/egress": access.GateRead, "POST gateway/egress/destinations": access.GateMaintain, "POST gateway/egress/past": access.GateMaintain, "DELETE gateway/egress/destinations/{id}": access.GateMaintain,
	"GET gateway/waf": access.GateRead, "POST gateway/waf/exceptions": access.GateMaintain, "DELETE gateway/waf/exceptions/{id}": access.GateMaintain,
	"GET clients": access.ClientsRead, "POST clients": access.ClientsManage, "GET clients/{id}": access.ClientsRead, "DELETE clients/{id}": access.ClientsManage,
	"POST clients/{id}/secrets": access.ClientsManage, "DELETE clients/{id}/secrets/{secret}": access.ClientsManage,
	"GET journal/entries": access.JournalRead, "GET journal/entries/{ref}": access.JournalRead, "GET journal/proof": access.JournalRead,
	"GET vault/holders": access.RightsRead, "POST vault/holders": access.VaultHolders, "DELETE vault/holders/{ref}": access.VaultHolders, "POST vault/holders/reshare": access.VaultHolders,
	"POST vault/holders/drill": access.VaultHolders, "DELETE vault/root-file": access.VaultHolders, "POST vault/seal": access.VaultSeal,
	"GET incidents/{ref}/loss": access.IncidentRead, "POST incidents/{ref}/loss/plan": access.IncidentAct, "POST incidents/{ref}/loss/onsets": access.IncidentAct, "POST incidents/{ref}/loss/hand": access.IncidentAct, "POST incidents/{ref}/loss/hand/{id}/sign": access.IncidentAct, "GET incidents/{ref}/loss/lost/{team}": access.IncidentRead,
	"GET team/incidents": access.TeamManage, "GET team/incidents/{ref}": access.TeamManage, "POST team/incidents/{ref}/proof": access.TeamManage, "GET incidents/{ref}/accounts": access.IncidentRead, "GET incidents/{ref}/accounts/{team}": access.IncidentRead,
	"POST incidents/{ref}/again/{act}": access.IncidentAct, "POST incidents/{ref}/play": access.IncidentAct, "POST incidents/{ref}/followed": access.IncidentAct, "GET drills": access.IncidentRead, "POST drills": access.IncidentAct,
	"GET incidents": access.IncidentRead, "GET deploys": access.IncidentRead, "POST incidents/import": access.IncidentAct, "POST incidents": access.IncidentAct, "GET incidents/{ref}": access.IncidentRead, "GET incidents/{ref}/timeline": access.IncidentRead,
	"POST incidents/{ref}/steps": access.IncidentAct, "POST incidents/{ref}/kind": access.IncidentAct, "POST incidents/{ref}/severity": access.IncidentAct, "POST incidents/{ref}/roles": access.IncidentAct, "POST incidents/{ref}/notes": access.IncidentAct, "POST incidents/{ref}/updates": access.IncidentAct, "POST incidents/{ref}/fix": access.IncidentAct, "POST incidents/{ref}/review": access.IncidentAct, "POST incidents/{ref}/approvals": access.IncidentAct, "POST incidents/{ref}/waivers": access.IncidentAct, "POST incidents/{ref}/alone": access.IncidentAct, "POST incidents/{ref}/told": access.IncidentAct, "POST incidents/{ref}/posted": access.IncidentAct, "POST incidents/{ref}/join": access.IncidentAct, "POST incidents/{ref}/links": access.IncidentAct, "POST incidents/{ref}/answers": access.IncidentAct, "GET incidents/{ref}/bundle": access.IncidentAct, "POST incidents/{ref}/files": access.IncidentAct, "GET incidents/{ref}/files/{id}": access.IncidentAct, "POST incidents/{ref}/split": access.IncidentAct, "POST incidents/{ref}/actions/{id}/done": access.IncidentAct,
	"GET incidents/{ref}/breach": access.IncidentRead, "POST incidents/{ref}/breach/scope": access.IncidentAct, "GET incidents/{ref}/breach/scope/{version}": access.IncidentRead, "GET incidents/{ref}/breach/scope/{version}/bundle": access.IncidentRead, "POST incidents/{ref}/breach/papers": access.IncidentAct,
	"POST incidents/{ref}/breach/signatures": access.IncidentAct, "POST incidents/{ref}/breach/cuts": access.IncidentAct, "POST incidents/{ref}/breach/lifts": access.IncidentAct, "POST incidents/{ref}/breach/clocks": access.IncidentAct, "POST incidents/{ref}/breach/tasks": access.IncidentAct, "POST incidents/{ref}/breach/tasks/{id}/done": access.IncidentAct,
	"GET incidents/{ref}/breach/pack": access.IncidentRead, "GET incidents/{ref}/breach/letters": access.IncidentRead, "GET incidents/{ref}/breach/letters/preview": access.IncidentRead, "POST incidents/{ref}/breach/letters": access.IncidentAct, "GET breaches": access.IncidentAct,
	"GET status": access.IncidentRead, "POST status/components": access.IncidentAct, "PUT status/components/{id}": access.IncidentAct, "DELETE status/components/{id}": access.IncidentAct, "PUT status/windows/{id}": access.IncidentAct, "POST status/windows": access.IncidentAct, "POST status/windows/{id}/begin": access.IncidentAct, "PUT status/components/{id}/covers": access.WatchManage, "DELETE status/windows/{id}": access.IncidentAct,
	"GET status/templates": access.IncidentRead, "GET status/templates/{kind}/{state}": access.IncidentRead, "PUT status/templates/{kind}/{state}": access.IncidentAct, "DELETE status/templates/{kind}/{state}": access.IncidentAct, "GET incidents/{ref}/draft": access.IncidentAct, "POST incidents/{ref}/preview": access.IncidentAct,
	"GET status/subscribers": access.IncidentRead, "DELETE status/subscribers/{id}": access.IncidentAct, "POST status/export": access.IncidentAct,
	"GET break-glass": access.RightsRead, "POST break-glass/sets": access.GlassPrepare, "DELETE break-glass/sets": access.GlassPrepare, "DELETE break-glass/uses/{id}": access.SessionsEnd,
	"GET factor-resets": access.PeopleManage, "POST policy/dry-run": access.PolicyPropose,
	"GET vault/params": access.VaultList, "GET vault/versions": access.VaultList, "POST vault/read": access.VaultRead, "POST vault/run": access.VaultRead,
	"POST vault/params": access.VaultWrite, "POST vault/rollback": access.VaultWrite, "DELETE vault/params": access.VaultWrite,
	"GET vault/planted": access.VaultKeys, "POST vault/planted": access.VaultKeys, "DELETE vault/planted": access.VaultKeys,
	"GET vault/about": access.VaultList, "POST vault/about": access.VaultWrite, "GET vault/search": access.VaultList, "GET vault/diff": access.VaultRead, "POST vault/rollback-path": access.VaultWrite,
	"GET vault/kms": access.VaultList, "POST vault/kms": access.VaultKeys, "POST vault/kms/{id}/state": access.VaultKeys, "POST vault/kms/{id}/alias": access.VaultKeys, "POST vault/kms/{id}/rotate": access.VaultKeys,
	"GET vault/keys": access.VaultList, "POST vault/keys": access.VaultRead, "DELETE vault/keys/{id}": access.VaultKeys, "GET vault/seen": access.VaultAudit,
	"GET vault/grants": access.VaultAudit, "POST vault/grants": access.VaultKeys, "DELETE vault/grants/{id}": access.VaultKeys,
	"GET encryption/backups": access.KeysRead, "POST encryption/backups": access.KeysRotate,
	"GET encryption": access.KeysRead, "POST encryption/rotate": access.KeysRotate, "GET encryption/shreds": access.KeysRead, "POST encryption/shreds": access.KeysShred,
	"POST encryption/shreds/{id}/agree": access.KeysAgree, "DELETE encryption/shreds/{id}": access.KeysAgree, "GET encryption/shreds/{id}/certificate": access.KeysRead,
	"GET encryption/holds": access.KeysRead, "POST encryption/holds": access.HoldAdd, "DELETE encryption/holds/{id}": access.HoldEnd,
	"GET vault/items": access.VaultItems, "POST vault/items": access.VaultItems, "GET vault/items/{id}": access.VaultItems, "PUT vault/items/{id}": access.VaultItems, "DELETE vault/items/{id}": access.VaultItems, "POST vault/items/{id}/restore": access.VaultItems,
	"POST vault/items/{id}/reveal": access.VaultReveal, "POST vault/items/{id}/code": access.VaultReveal, "POST vault/items/{id}/shares": access.VaultItems, "DELETE vault/items/{id}/shares": access.VaultItems,
	"POST vault/items/{id}/links": access.VaultReveal, "DELETE vault/items/{id}/links/{link}": access.VaultItems, "POST vault/items/{id}/checkout": access.VaultReveal, "DELETE vault/items/{id}/checkout": access.VaultItems,
	"POST vault/items/{id}/files": access.VaultItems, "POST vault/items/{id}/files/{file}/read": access.VaultReveal, "DELETE vault/items/{id}/files/{file}": access.VaultItems,
	"POST vault/generate": access.VaultItems, "GET vault/item-report": access.VaultItems, "POST vault/item-import": access.VaultItems,
	"POST vault/values": access.VaultRead, "POST vault/newest": access.VaultList,
	"GET vault/scans": access.VaultList, "POST vault/scans": access.VaultList, "POST vault/scans/comparisons": access.VaultRead,
	"POST vault/scans/comparisons/{id}": access.VaultRead, "POST vault/scans/decisions": access.VaultWrite,
	"POST vault/imports": access.VaultWrite, "GET vault/exports": access.VaultList, "POST vault/exports": access.VaultRead, "POST vault/exports/{id}/approve": access.VaultKeys, "POST vault/exports/{id}/take": access.VaultRead,
	"GET vault/rotations": access.VaultList, "POST vault/rotations": access.VaultWrite, "POST vault/rotations/now": access.VaultWrite, "POST vault/rotations/known": access.VaultAudit, "DELETE vault/rotations": access.VaultWrite,
	"GET vault/bundles": access.VaultList, "GET vault/bundles/key": access.VaultList, "POST vault/bundles": access.VaultRead, "POST vault/bundles/uses": access.VaultRead, "DELETE vault/bundles/{id}": access.VaultWrite,
	"GET watch/alarms": access.WatchRead, "GET watch/alarms/{id}": access.WatchRead, "GET watch/alarms/{id}/bundle": access.WatchRead, "POST watch/alarms/{id}/acknowledge": access.WatchAct, "POST watch/alarms/{id}/close": access.WatchAct,
	"GET watch/baselines": access.WatchRead, "POST watch/baselines/accept": access.WatchAct,
	"GET watch/rules": access.WatchRead, "POST watch/rules/{id}/fire": access.WatchAct, "GET watch/silences": access.WatchRead, "POST watch/silences": access.WatchAct, "DELETE watch/silences/{id}": access.WatchAct,
	"GET watch/channels": access.WatchRead, "POST watch/channels": access.WatchManage, "DELETE watch/channels/{name}": access.WatchManage, "POST watch/channels/{name}/test": access.WatchAct,
	"GET watch/lessons": access.WatchRead, "GET watch/own": access.WatchRead, "GET watch/own/{id}": access.WatchRead, "POST watch/own": access.WatchManage, "POST watch/own/test": access.WatchManage,
	"POST watch/own/{id}/approve": access.WatchManage, "POST watch/own/{id}/enable": access.WatchManage, "POST watch/own/{id}/retire": access.WatchManage,
	"GET watch/budgets": access.WatchRead, "GET watch/budgets/{name}": access.WatchRead, "PUT watch/budgets/{name}": access.WatchManage, "DELETE watch/budgets/{name}": access.WatchManage,
	"GET watch/silences/{id}": access.WatchRead, "POST watch/silences/{id}/approve": access.WatchManage,
	"GET watch/mutes": access.WatchRead, "PUT watch/mutes/{name}": access.WatchManage, "DELETE watch/mutes/{name}": access.WatchManage,
	"POST samples": access.WatchPush, "GET watch/meters/own": access.WatchRead, "PUT watch/meters/own/{name}": access.WatchManage, "DELETE watch/meters/own/{name}": access.WatchManage,
	"GET watch/routes": access.WatchRead, "GET watch/routes/test": access.WatchRead,
	"GET watch/oncall": access.WatchRead, "PUT watch/oncall/{rota}": access.WatchManage, "DELETE watch/oncall/{rota}": access.WatchManage, "POST watch/oncall/{rota}/overrides": access.WatchAct, "POST watch/oncall/overrides/{id}/agree": access.WatchAct, "POST watch/oncall/overrides/{id}/decline": access.WatchAct,
	"GET watch/costs": access.WatchRead, "POST watch/costs": access.WatchAct, "POST watch/costs/forget": access.WatchManage, "GET watch/prices": access.WatchRead, "PUT watch/prices": access.WatchManage,
	"GET watch/exports": access.WatchRead, "GET watch/series": access.WatchRead, "GET watch/meters": access.WatchRead, "GET watch/deliveries": access.WatchRead, "POST notify/reports": access.WatchAct, "GET notify/unreachable": access.WatchRead, "DELETE notify/unreachable/{id}": access.WatchAct, "GET watch/deliveries/{id}": access.WatchRead,
	"POST journal/verify": access.JournalRead, "GET journal/export": access.JournalExport,
}

// elsewhere are the routes that another test walks with every role or team, by how their
// path begins: those of package identity.
var elsewhere = []string{"people", "grants", "needs", "rights", "reviews", "imports", "teams", "team", "members", "invitations", "services", "tokens", "token", "provisioning", "support", "sign-", "confirm",
	"recovery", "password", "session", "account", "factors", "step-up", "browsers", "passkeys", "terms", "consents", "switch"}

// Every role at every route of the whole server that asks for a right: refused exactly
// where the signed table says no. A route that this test does not know fails it.
//
// breaks: access.roles
func TestEveryRoleAtEveryRoute(t *testing.T) {
	t.Parallel()
	s := start(t, setup{owners: []string{"ana@example.test"}})
	who := map[string]*visitor{"owner": s.owner("ana@example.test"), "admin": s.customer("carl@orchard.example")}
	may := map[string][]string{}
	for _, row := range policytest.Values()["access.roles/roles"].([][]string) {
		may[row[0]] = strings.Fields(row[2])
		if who[row[0]] == nil && row[0] != "member" {
			email := row[0] + "@example.test"
			added := decode[struct{ URL string }](t, must(t, 0, s.writ("user", "add", email, "--role", row[0], "--format", "json")).out)
			v := s.visitor()
			v.want(http.StatusOK, "POST", "invitations/"+added.URL[strings.LastIndexByte(added.URL, '/')+1:]+"/accept", obj{"name": row[0], "password": aPassword})
			s.enter(v, email, aPassword)
			who[row[0]] = v
		}
	}
	doc := decode[struct{ Paths map[string]map[string]any }](t, s.visitor().send("GET", "/-/api/v1/openapi.json", nil, nil).body)
	hole := regexp.MustCompile(`\{[^}]*\}`)
	seen := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		short, ok := strings.CutPrefix(path, "/-/api/v1/")
		if !ok || !strings.HasPrefix(short, "team/incidents") && slices.ContainsFunc(elsewhere, func(begin string) bool { return strings.HasPrefix(short, begin) }) {
			continue
		}
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			method = strings.ToUpper(method)
			need, ok := asks[method+" "+short]
			if !ok {
				if !slices.Contains([]string{"GET openapi.json", "GET journal/checkpoint", "POST break-glass", "DELETE keys/{fingerprint}",
					"GET unseal", "POST unseal", "POST unseal/box", "POST unseal/question", "POST unseal/proof", "POST vault/holders/enrol", "POST vault/holders/question"}, method+" "+short) { // for everybody, for whoever is signed in, one's own
					t.Errorf("%s %s: no right is noted for it", method, path)
				}
				continue
			}
			seen++
			for role, v := range who {
				var body any
				if method != http.MethodGet && method != http.MethodDelete {
					body = obj{}
				}
				a := v.api(method, hole.ReplaceAllString(short, "9.9"), body)
				refused := a.status == 403 && slices.Contains([]string{"denied", "not_allowed"}, a.code()) // by the table, or before: no staff
				if refused == slices.Contains(may[role], string(need)) || a.status >= 500 || a.status == 401 {
					t.Errorf("%s %s as %s: %d %s, the table gives %s to %s: %v", method, path, role, a.status, tail(a.body, 300), need, role, slices.Contains(may[role], string(need)))
				}
			}
		}
	}
	if seen != len(asks) {
		t.Errorf("%d routes were asked, %d are noted", seen, len(asks))
	}
}

package identity

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// DirectoryControls are the proofs that a directory's word ends everything of a person,
// and that only the right directory's does. They go through the public door of package
// scim, so they are apart from Controls.
func (s *Service) DirectoryControls(door *canary.Door) []clause.Control {
	return []clause.Control{{ID: "identity.directory", Clause: "access.need-ends", Kind: clause.Canary, Says: "Makes and ends a person as their team's directory, and tries it with tokens of others",
		Every: 6 * time.Hour, FreshFor: 13 * time.Hour, Run: s.canary(door, "identity.directory", (*trial).directory)}}
}

// directory is access.need-ends at the door of directories.
func (t *trial) directory() string {
	admin, other := t.person(RoleAdmin), t.another("elsewhere", RoleAdmin)
	ours, foreign := t.plantDirectory(admin), t.plantDirectory(other)
	if t.err != nil {
		return ""
	}
	email := t.door.Address()
	t.sweeps(email)
	made := t.scim(ours, http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+email+`","active":true}`)
	t.works("make a person", made, http.StatusCreated)
	at, pw := "/Users/"+read(made).ID, t.s.freshPassword().Reveal()
	v, link := t.visitor(), t.letter(email, "identity.join-link")
	t.works("set the first password", t.accept(t.visitor(), link, pw), http.StatusOK)
	t.next("sign in", t.signIn(v, email, pw), NextDone)
	if a := t.ask(v, "GET", "session", nil); t.err == nil && a.Status == http.StatusForbidden { // the terms come first
		t.works("accept the terms", t.send(v, "POST", "/-/api/v1/terms", map[string]int{"version": t.s.Rules.Get().Terms}), http.StatusOK)
	}
	const off = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	t.refused("end them as another team's directory", t.scim(foreign, http.MethodPatch, at, off), http.StatusNotFound, "")
	t.refused("end them without a token", t.scim(secret.NewText(""), http.MethodPatch, at, off), http.StatusUnauthorized, "")
	t.works("go on as the person", t.ask(v, "GET", "session", nil), http.StatusOK)
	t.works("end them as their directory", t.scim(ours, http.MethodPatch, at, off), http.StatusOK)
	t.refused("go on as the person", t.ask(v, "GET", "session", nil), http.StatusUnauthorized, "")
	t.refused("sign in again", t.signIn(t.visitor(), email, pw), http.StatusUnauthorized, "sign_in_refused")
	t.nothingLeft(read(made).ID)
	t.endDirectory(admin)
	t.refused("ask with a token that has ended", t.scim(ours, http.MethodGet, "/Users", ""), http.StatusUnauthorized, "")
	return "a directory's word ended everything of a person of its team at once, and nobody else's did"
}

// nothingLeft counts what the person could act with, and wants one entry of the end.
func (t *trial) nothingLeft(person string) {
	var left []string
	for _, k := range accessKinds {
		if t.err != nil {
			return
		}
		var n int64
		if n, t.err = liveOf(t.ctx, t.s.DB, k, person, ""); n > 0 {
			left = append(left, k.name)
		}
	}
	got := "nothing"
	if len(left) > 0 {
		got = strings.Join(left, ", ")
	}
	t.step("look what is left of them", "nothing", got, len(left) == 0, false)
}

// scim is one request of a directory.
func (t *trial) scim(token secret.Text, method, path, body string) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	v := t.visitor()
	req, err := http.NewRequestWithContext(t.ctx, method, t.door.Base()+ProvisionBase+path, strings.NewReader(body))
	if err != nil {
		t.err = err
		return canary.Answer{}
	}
	if !token.IsZero() && token.Len() > 0 {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	a, err := v.Send(req)
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("%s answered %s", path, saw(a))
	}
	t.err = err
	return a
}

// plantDirectory connects a directory to the team of a planted admin and returns its token.
func (t *trial) plantDirectory(p planted) secret.Text {
	if t.err != nil {
		return secret.Text{}
	}
	who, c := actor.System("canary"), Connection{ID: t.s.DB.ID(), Name: "canary", Service: randomID(), Kind: Canary, Roles: []string{RoleMember}, Standard: RoleMember}
	if t.err = ledger.One(t.ctx, t.s.DB, canaryTeam, []any{&c.Team}, p.id); t.err != nil {
		return secret.Text{}
	}
	token, add, err := t.s.connectionToken(t.ctx, who, c, time.Hour)
	if err == nil {
		_, err = t.s.DB.Change(t.ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(t.ctx, insertService, c.Service, c.Team, c.Name, "", provisioner, us(tx.Now())); err != nil {
				return nil, err
			}
			if _, err := tx.Exec(t.ctx, insertConnection, c.ID, c.Team, c.Name, c.Service, rolesText(c.Roles), c.Standard, who.String(), us(tx.Now())); err != nil {
				return nil, err
			}
			return CanaryPlanted{Control: t.control, What: "directory", Person: p.id}, add(tx)
		})
	}
	if t.err = err; err != nil {
		return secret.Text{}
	}
	t.s.tokensChanged(t.ctx, func(l *liveToken) bool { return l.id == token.ID })
	return token.Text
}

// endDirectory ends the tokens of a planted directory, as disconnecting it does.
func (t *trial) endDirectory(p planted) {
	if t.err != nil {
		return
	}
	var team string
	if t.err = ledger.One(t.ctx, t.s.DB, canaryTeam, []any{&team}, p.id); t.err != nil {
		return
	}
	_, t.err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(t.ctx, tx)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(t.ctx, endPlantedTokens, team, us(tx.Now()), change)
		return CanaryPlanted{Control: t.control, What: "directory ended", Person: p.id}, err
	})
	t.s.tokensChanged(t.ctx, func(l *liveToken) bool { return l.service != "" })
}

const endPlantedTokens = `UPDATE identity_token SET ended = $2, cause = 'service-ended', change = $3 WHERE team = $1 AND kind = 'service' AND ended IS NULL`

package item

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Controls are the proofs of vault.company-creds.
func (s *Service) Controls(door *canary.Door) []clause.Control {
	return []clause.Control{
		{ID: "vault.items-owned", Clause: creds, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks at every item of the company's vault for its owner, its date for replacement and check-outs beyond their time", Run: s.probe},
		{ID: "vault.item-canary", Clause: creds, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Asks for a seed, for what is not shared, for a secret without a reason, shows a hidden field to all, opens a link twice and keeps a card's number", Run: s.attack(door)},
	}
}

// HolderControls are the proofs of people.no-sole-holder that lie in items.
func (s *Service) HolderControls() []clause.Control {
	return []clause.Control{
		{ID: "vault.item-last-holder", Clause: "people.no-sole-holder", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Takes the last but one holder, and the last owner, from a critical item", Run: s.lastHolder},
	}
}

// probe looks at all items but those of controls.
func (s *Service) probe(ctx context.Context) (clause.Result, error) {
	var teams []string
	if err := s.DB.Each(ctx, teamsWithItems, func(scan ledger.Scan) error {
		var t string
		err := scan(&t)
		if t != canaryTeam {
			teams = append(teams, t)
		}
		return err
	}, stagedTeam, stagedEnd); err != nil {
		return clause.Result{}, fmt.Errorf("read teams: %w", err)
	}
	now := s.Now()
	vendors := map[string]bool{}
	var n, ownerless, overdue, undated, stuck int64
	for _, team := range teams {
		roster, err := s.People.Roster(ctx, team)
		if err != nil {
			return clause.Result{}, err
		}
		rows, err := s.all(ctx, team)
		if err != nil {
			return clause.Result{}, err
		}
		for _, it := range rows {
			if it.deleted != nil {
				continue
			}
			n++
			if it.vendor != "" {
				vendors[team+"/"+it.vendor] = true
			}
			k, _ := KindOf(it.Kind)
			for _, c := range []struct {
				is  bool
				sum *int64
			}{{len(owners(it.Holders, roster)) == 0, &ownerless}, {it.Overdue(now), &overdue}, {k.replaced() && it.Due.IsZero(), &undated}, {it.Out != nil && now.Sub(it.Out.Until) > 5*time.Minute, &stuck}} {
				if c.is {
					*c.sum++
				}
			}
		}
	}
	r := clause.Passed(fmt.Sprintf("of %d items of %d vendors %d have no owner, %d are past their date for replacement, %d have none, and %d are checked out beyond their time", n, len(vendors), ownerless, overdue, undated, stuck))
	r.Population = n
	switch {
	case n == 0:
		r.Outcome, r.Summary = clause.Unknown, "the company's vault holds no item yet"
	case ownerless+overdue+undated+stuck > 0:
		r.Outcome = clause.Fail
	}
	return r, nil
}

// The reserved team of controls, and its people: two who share an item, and one who does not.
const canaryTeam = "canary-vault-item"

var canaryPeople = []Member{{ID: "canary-item-a", Name: "Canary A", Roles: []string{"support"}}, {ID: "canary-item-b", Name: "Canary B", Roles: []string{"support"}}, {ID: "canary-item-c", Name: "Canary C", Roles: []string{"support"}}}

// reserved is People, with those of the reserved team beside the others.
type reserved struct{ People }

// Roster implements People.
func (r reserved) Roster(ctx context.Context, team string) ([]Member, error) {
	if team == canaryTeam {
		return canaryPeople, nil
	}
	return r.People.Roster(ctx, team)
}

// Find implements People.
func (r reserved) Find(ctx context.Context, team, ref string) (Member, error) {
	if i := slices.IndexFunc(canaryPeople, func(m Member) bool { return m.ID == ref }); team == canaryTeam && i >= 0 {
		return canaryPeople[i], nil
	}
	return r.People.Find(ctx, team, ref)
}

// acts are what a control tries without a door.
type acts interface {
	Create(ctx context.Context, who actor.Actor, in NewItem) (Item, error)
	Show(ctx context.Context, who actor.Actor, id string) (Item, error)
	Edit(ctx context.Context, who actor.Actor, id string, d Draft) (Item, error)
	Reveal(ctx context.Context, who actor.Actor, id, field, reason string) (Revealed, error)
	Code(ctx context.Context, who actor.Actor, id, reason string) (Revealed, error)
	Unshare(ctx context.Context, who actor.Actor, id, with string) (Item, error)
}

// trial is one run of a canary.
type trial struct {
	*Service
	ctx   context.Context
	steps []clause.Step
}

// as is one of the people of a trial.
func (t *trial) as(n int) actor.Actor {
	m := canaryPeople[n]
	return actor.Actor{Kind: actor.Person, ID: m.ID, Team: canaryTeam, TeamKind: "canary", Roles: m.Roles, ACR: 2, FactorAt: t.Now(), Via: "canary"}
}

// step notes how an act ended: "done", or the code of its refusal.
func (t *trial) step(act, expected string, control bool, err error) error {
	got := "done"
	if err != nil {
		got, _ = fault.PublicOf(err)
		if fault.KindOf(err).Status() >= http.StatusInternalServerError {
			return fmt.Errorf("%s: %w", act, err) // the server could not answer: the run decides nothing
		}
	}
	t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: control})
	return nil
}

// sweep removes all items of the reserved team.
func (t *trial) sweep(control string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
	defer cancel()
	rows, err := t.all(ctx, canaryTeam)
	if err != nil || len(rows) == 0 {
		return err
	}
	_, err = t.change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		for _, it := range rows {
			if err := erase(ctx, tx, it.ID); err != nil {
				return nil, err
			}
		}
		return CanarySwept{Control: control, Items: int64(len(rows))}, nil
	})
	return err
}

// begin waits for its turn and clears the reserved team; end clears it again.
func (t *trial) begin(control string) (end func(), err error) {
	t.trials.Lock()
	if err := t.sweep(control); err != nil { // leftovers of a run that was cut off
		t.trials.Unlock()
		return nil, err
	}
	return func() {
		defer t.trials.Unlock()
		if err := t.sweep(control); err != nil {
			t.Log.Error("sweep what a control planted", "control", control, "err", err)
		}
	}, nil
}

// draft is a login that only a control has.
func draft() Draft {
	pin := secret.RandomText(8)
	return Draft{Kind: "login", Title: "Canary", Vendor: "canary.invalid", Sensitive: true, Rotate: 30, Values: map[string]secret.Text{
		"password": secret.RandomText(16), seedField: secret.NewText(seedOf(secret.Random(20)))}, Custom: []Custom{{Label: "PIN", Secret: true, Value: &pin}}}
}

func (s *Service) attack(door *canary.Door) func(context.Context) (clause.Result, error) {
	const control = "vault.item-canary"
	return func(ctx context.Context) (clause.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		t := &trial{Service: s, ctx: ctx}
		end, err := t.begin(control)
		if err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, err)
		}
		defer end()
		v := door.Visitor()
		defer v.Close()
		if err := t.story(v); err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, err)
		}
		return clause.Judge("a seed, what is not shared, a secret without a reason, a hidden field for all, a link a second time and a card's number were refused", t.steps...), nil
	}
}

func (t *trial) story(v *canary.Visitor) error {
	const why = "a control of the vault"
	ctx, a, c := t.ctx, t.as(0), t.as(2)
	it, err := t.tried.Create(ctx, a, NewItem{Draft: draft()})
	if err != nil {
		return err
	}
	id := it.ID
	reveal := func(who actor.Actor, field, reason string) error {
		_, err := t.tried.Reveal(ctx, who, id, field, reason)
		return err
	}
	_, err = t.tried.Code(ctx, a, id, why)
	card := draft()
	card.Title, card.Custom, card.Values = "Canary with a card", nil, map[string]secret.Text{"notes": secret.NewText("the card is 4111 1111 1111 1111")}
	_, kept := t.tried.Create(ctx, a, NewItem{Draft: card})
	_, seen := t.tried.Show(ctx, c, id)
	open := draft()
	open.Values, open.Custom = nil, []Custom{{ID: ownField + "1", Label: "PIN"}}
	_, shown := t.tried.Edit(ctx, a, id, open)
	err = errors.Join(
		t.step("reveal a password to its owner, with a reason", "done", true, reveal(a, "password", why)),
		t.step("serve its owner a one-time code", "done", true, err),
		t.step("reveal it without a reason", "reason_missing", false, reveal(a, "password", "")),
		t.step("reveal the seed of the codes", "seed_kept", false, reveal(a, seedField, why)),
		t.step("reveal it to somebody it is not shared with", "item_unknown", false, reveal(c, "password", why)),
		t.step("say that a hidden field is hidden no more", "field_hidden", false, shown),
		t.step("show them that it is there", "item_unknown", false, seen),
		t.step("keep a card's number in a note", "card_number", false, kept))
	if err != nil {
		return err
	}
	if err := t.visit(v, "reveal it at the public door without a session", http.MethodPost, "/-/api/v1/vault/items/"+id+"/reveal", `{"field":"password","reason":"`+why+`"}`, "401 sign_in_needed", false); err != nil {
		return err
	}
	_, address, err := t.MakeLink(ctx, a, id, []string{"password"}, time.Hour, why)
	if err != nil {
		return err
	}
	path := strings.TrimPrefix(address, t.Origin)
	for _, s := range []struct {
		act, method, expected string
		control               bool
	}{
		{"look at a link as a mail scanner does", http.MethodGet, "200", true},
		{"open it with its button", http.MethodPost, "200", true},
		{"open it a second time", http.MethodPost, "410 link_opened", false},
		{"look at it again", http.MethodGet, "410 link_opened", false},
	} {
		if err := t.visit(v, s.act, s.method, path, "", s.expected, s.control); err != nil {
			return err
		}
	}
	return nil
}

// visit makes a call at the public door.
func (t *trial) visit(v *canary.Visitor, act, method, path, body, expected string, control bool) error {
	a, err := v.Do(t.ctx, method, path, body)
	if err == nil && a.Status >= http.StatusInternalServerError {
		err = fmt.Errorf("the door answered %d", a.Status)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	got := fmt.Sprint(a.Status)
	var p struct {
		Code string `json:"code"`
	}
	if a.Status >= 300 && json.Unmarshal([]byte(a.Body), &p) == nil {
		got += " " + p.Code
	}
	t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: control})
	return nil
}

func (s *Service) lastHolder(ctx context.Context) (clause.Result, error) {
	const control = "vault.item-last-holder"
	t := &trial{Service: s, ctx: ctx}
	end, err := t.begin(control)
	if err != nil {
		return clause.Result{}, fmt.Errorf("%s: %w", control, err)
	}
	defer end()
	if need := t.MinHolders(); need > len(canaryPeople) {
		return clause.Result{Outcome: clause.Unknown, Summary: fmt.Sprintf("the control has three people, and the policy asks for %d holders", need)}, nil
	}
	a := t.as(0)
	d := draft()
	d.Critical = true
	_, alone := t.tried.Create(ctx, a, NewItem{Draft: d})
	var all []string
	for _, m := range canaryPeople[:t.MinHolders()] {
		all = append(all, m.ID)
	}
	it, err := t.tried.Create(ctx, a, NewItem{Draft: d, Owners: all})
	if err != nil {
		return clause.Result{}, fmt.Errorf("%s: %w", control, err)
	}
	last := "person/" + all[len(all)-1]
	_, tooFew := t.tried.Unshare(ctx, a, it.ID, last)
	d.Critical = false
	_, plain := t.tried.Edit(ctx, a, it.ID, d)
	var off error
	for _, m := range all[1:] {
		if _, err := t.tried.Unshare(ctx, a, it.ID, "person/"+m); err != nil {
			off = err
		}
	}
	_, none := t.tried.Unshare(ctx, a, it.ID, person(a))
	err = errors.Join(
		t.step("make a critical item that one person holds", "holders_few", false, alone),
		t.step("take the last but one holder from it", "holders_few", false, tooFew),
		t.step("say that it is critical no more", "done", true, plain),
		t.step("take them then", "done", true, off),
		t.step("take the last owner", "owner_last", false, none))
	if err != nil {
		return clause.Result{}, fmt.Errorf("%s: %w", control, err)
	}
	return clause.Judge("a critical item kept its holders, and every item its owner", t.steps...), nil
}

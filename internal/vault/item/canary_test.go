package item_test

import (
	"context"
	"testing"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// loose is a service that is broken in one place.
type loose struct {
	item.Acts
	create  func(in item.NewItem, made item.Item, err error) (item.Item, error)
	edit    func(d item.Draft, i item.Item, err error) (item.Item, error)
	show    func(who actor.Actor, i item.Item, err error) (item.Item, error)
	reveal  func(who actor.Actor, field, reason string, r item.Revealed, err error) (item.Revealed, error)
	code    func(r item.Revealed, err error) (item.Revealed, error)
	unshare func(i item.Item, err error) (item.Item, error)
}

func (l loose) Create(ctx context.Context, who actor.Actor, in item.NewItem) (item.Item, error) {
	i, err := l.Acts.Create(ctx, who, in)
	if l.create != nil {
		return l.create(in, i, err)
	}
	return i, err
}

func (l loose) Edit(ctx context.Context, who actor.Actor, id string, d item.Draft) (item.Item, error) {
	i, err := l.Acts.Edit(ctx, who, id, d)
	if l.edit != nil {
		return l.edit(d, i, err)
	}
	return i, err
}

func (l loose) Show(ctx context.Context, who actor.Actor, id string) (item.Item, error) {
	i, err := l.Acts.Show(ctx, who, id)
	if l.show != nil {
		return l.show(who, i, err)
	}
	return i, err
}

func (l loose) Reveal(ctx context.Context, who actor.Actor, id, field, reason string) (item.Revealed, error) {
	r, err := l.Acts.Reveal(ctx, who, id, field, reason)
	if l.reveal != nil {
		return l.reveal(who, field, reason, r, err)
	}
	return r, err
}

func (l loose) Code(ctx context.Context, who actor.Actor, id, reason string) (item.Revealed, error) {
	r, err := l.Acts.Code(ctx, who, id, reason)
	if l.code != nil {
		return l.code(r, err)
	}
	return r, err
}

func (l loose) Unshare(ctx context.Context, who actor.Actor, id, with string) (item.Item, error) {
	i, err := l.Acts.Unshare(ctx, who, id, with)
	if l.unshare != nil {
		return l.unshare(i, err)
	}
	return i, err
}

// Each step that a control takes without a door fails it, when the service is broken there.
//
// breaks: vault.company-creds, people.no-sole-holder
func TestCanaryStepsCanFail(t *testing.T) {
	w := open(t)
	const canary, last = "vault.item-canary", "vault.item-last-holder"
	no := fault.Newf(fault.Denied, "broken", "It refuses everything.")
	lets := func(when func(who actor.Actor, field, reason string) bool) func(actor.Actor, string, string, item.Revealed, error) (item.Revealed, error) {
		return func(who actor.Actor, field, reason string, r item.Revealed, err error) (item.Revealed, error) {
			if when(who, field, reason) {
				return item.Revealed{Text: secret.NewText("x")}, nil
			}
			return r, err
		}
	}
	for name, c := range map[string]struct {
		id, says string
		loose
	}{
		"hides everything": {canary, "refused what it must allow: reveal a password to its owner", loose{reveal: func(actor.Actor, string, string, item.Revealed, error) (item.Revealed, error) {
			return item.Revealed{}, no
		}}},
		"serves no code":          {canary, "refused what it must allow: serve its owner a one-time code", loose{code: func(item.Revealed, error) (item.Revealed, error) { return item.Revealed{}, no }}},
		"wants no reason":         {canary, "let through: reveal it without a reason", loose{reveal: lets(func(_ actor.Actor, _, reason string) bool { return reason == "" })}},
		"hands out seeds":         {canary, "let through: reveal the seed of the codes", loose{reveal: lets(func(_ actor.Actor, field, _ string) bool { return field == "totp" })}},
		"reveals to anybody":      {canary, "let through: reveal it to somebody it is not shared with", loose{reveal: lets(func(who actor.Actor, _, _ string) bool { return who.ID == "canary-item-c" })}},
		"unhides a field":         {canary, "let through: say that a hidden field is hidden no more", loose{edit: func(_ item.Draft, i item.Item, _ error) (item.Item, error) { return i, nil }}},
		"shows what is not given": {canary, "let through: show them that it is there", loose{show: func(_ actor.Actor, i item.Item, _ error) (item.Item, error) { return i, nil }}},
		"keeps a card": {canary, "let through: keep a card's number in a note", loose{create: func(in item.NewItem, i item.Item, err error) (item.Item, error) {
			if in.Title == "Canary with a card" {
				err = nil
			}
			return i, err
		}}},
		"one holder is enough": {last, "let through: make a critical item that one person holds", loose{create: func(in item.NewItem, i item.Item, err error) (item.Item, error) {
			if len(in.Owners) == 0 {
				err = nil
			}
			return i, err
		}}},
		"takes any holder":   {last, "let through: take the last but one holder from it", loose{unshare: func(i item.Item, _ error) (item.Item, error) { return i, nil }}},
		"stays critical":     {last, "refused what it must allow: say that it is critical no more", loose{edit: func(_ item.Draft, i item.Item, _ error) (item.Item, error) { return i, no }}},
		"keeps every holder": {last, "let through: take the last but one holder from it gave broken", loose{unshare: func(i item.Item, _ error) (item.Item, error) { return i, no }}},
		"refuses the same way": {last, "refused what it must allow: take them then", loose{unshare: func(i item.Item, _ error) (item.Item, error) {
			return i, fault.Newf(fault.Conflict, "holders_few", "Too few.")
		}}},
		"takes the last owner": {last, "let through: take the last owner", loose{unshare: func(i item.Item, err error) (item.Item, error) {
			if code, _ := fault.PublicOf(err); err != nil && code == "owner_last" {
				err = nil
			}
			return i, err
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.loose
			l.Acts = w.svc
			w.svc.Try(l)
			defer w.svc.Try(nil)
			w.outcome(c.id, clause.Fail, c.says)
		})
	}
	for _, id := range []string{canary, last} {
		w.outcome(id, clause.Pass, "")
	}
}

package console

import (
	"net/http"
	"net/url"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

type keysPage struct {
	Table  web.Table
	Ask    *web.Form // first step: the public key
	Sign   *signing  // second step: the challenge
	Revoke *web.Form
}

func (c *Console) showKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.keysPage(w, r, who, strings.TrimSpace(r.URL.Query().Get("key")), nil, nil)
}

func (c *Console) keysPage(w http.ResponseWriter, r *http.Request, who actor.Actor, line string, fail, revoked error) error {
	ctx := r.Context()
	own := c.handle(ctx, who)
	t := web.Table{Caption: "Public keys that sign revisions, exceptions and records", Columns: []web.Column{{Name: "Key"}, {Name: "Of"}, {Name: "State"}, {Name: "Registered"}},
		Empty: web.Empty{Says: "Nobody has registered a key, so nobody can sign yet."}}
	var mine []web.Option
	for _, k := range c.Policy.Keys() {
		m := &web.Mark{State: web.Holds, Word: "signs"}
		if !k.Revoked.IsZero() {
			m = &web.Mark{State: web.Unproved, Word: "revoked", At: k.Revoked}
		} else if k.Handle == own || who.Kind == actor.Operator {
			mine = append(mine, web.Option{Value: k.Fingerprint, Text: k.Fingerprint})
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: k.Fingerprint, Code: true}, {Text: c.name(ctx, k.Handle)}, {Mark: m}, {At: k.Registered}}})
	}
	p := keysPage{Table: t}
	if who.Kind == actor.Person && c.Access.May(who, access.KeyRegister) {
		p.Ask = &web.Form{Action: atKeys, Method: "get", Act: "Show what to sign", Fields: []web.Field{{Name: "key", Label: "Public key", Type: "textarea", Rows: 3, Value: line, Required: true,
			Hint: "The line of a .pub file: ssh-ed25519 AAAA… A key made for this purpose alone is best: ssh-keygen -t ed25519."}}}
		if line != "" {
			if _, err := c.Policy.KeyText(ctx, who, line); err != nil {
				if !formed(err) {
					return err
				}
				p.Ask.Fault = beside(err, map[string]string{"public_key": "key", "key": "key"})
				fail = err
			} else {
				g := sign("writ-key.txt", atKeys+"/text?"+url.Values{"key": {line}}.Encode(), atKeys, "Register this key", []web.Pair{{Name: "key", Value: line}}, fail)
				g.Command.Label = "Sign it with the key itself"
				g.Command.Text = strings.Replace(g.Command.Text, "~/.ssh/id_ed25519", "KEY", 1)
				g.Form.Fields[0].Hint = "The whole of writ-key.txt.sig. It shows that you hold the private half, which never comes here. The text is good for 15 minutes."
				p.Sign = &g
			}
		}
	}
	if len(mine) > 0 {
		p.Revoke = &web.Form{Action: atKeys + "/revoke", Act: "Revoke this key", Fault: revoked, Loses: "It signs nothing any more, for ever. What it signed stays signed.",
			Fields: []web.Field{{Name: "fingerprint", Label: "Key", Type: "select", Options: mine}}}
	}
	st := http.StatusOK
	for _, err := range []error{fail, revoked} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "keys", web.View{Title: "Keys", Lead: "A signature counts when its key was registered by the person it stands for. The private half never leaves their machine.", Data: p})
}

// keyText is the exact text that shows possession of a key.
func (c *Console) keyText(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, err := c.Policy.KeyText(r.Context(), who, strings.TrimSpace(r.URL.Query().Get("key")))
	if err != nil {
		return err
	}
	return text(w, "writ-key.txt", t)
}

func (c *Console) registerKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	line := strings.TrimSpace(f.Get("key"))
	k, err := c.Policy.RegisterKey(r.Context(), who, line, []byte(pasted(f.Get("signature"))))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.keysPage(w, r, who, line, beside(err, map[string]string{"signature": "signature", "key_known": "signature", "too_many_keys": "signature"}), nil)
	}
	return c.done(w, r, atKeys, "The key "+k.Fingerprint+" signs for you from now on.")
}

func (c *Console) revokeKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Policy.RevokeKey(r.Context(), who, f.Get("fingerprint")); err != nil {
		if !formed(err) {
			return err
		}
		return c.keysPage(w, r, who, "", nil, err)
	}
	return c.done(w, r, atKeys, "The key is revoked.")
}

package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/vault/rotate"
	"writ/internal/web"
)

// Rotations is what the page of a parameter needs where it is replaced by itself.
type Rotations interface {
	Add(ctx context.Context, who actor.Actor, in rotate.Wish) (rotate.Rotation, error)
	Of(ctx context.Context, who actor.Actor, name string) (rotate.Rotation, error)
	Replace(ctx context.Context, who actor.Actor, name string, exposed bool) (rotate.Rotation, error)
	ReplaceKnown(ctx context.Context, who actor.Actor, whose string) (rotate.Known, error)
	End(ctx context.Context, who actor.Actor, name string) error
}

const atRotation = atSecrets + "/rotation"

// rotationRoutes are the acts of that part of the page; none without it. As for the other
// pages of parameters the vault alone can say who may.
func (c *Console) rotationRoutes(on func(string, web.Handler) web.Route) []web.Route {
	if c.Rotations == nil {
		return nil
	}
	return []web.Route{
		on("GET /-/console/secrets/rotation/new", c.newRotation),
		on("POST "+atRotation+"/new", c.addRotation),
		on("POST "+atRotation, c.replaceSecret),
		on("POST "+atRotation+"/end", c.endRotation),
		on("POST "+atRotation+"/known", c.replaceKnown),
	}
}

// rotationPart is how a parameter that is replaced by itself stands.
type rotationPart struct {
	Facts []fact
	Now   *web.Form
	End   *web.Form
}

// rotationOf is nil where nothing replaces the parameter by itself.
func (c *Console) rotationOf(ctx context.Context, who actor.Actor, name string, writes bool, fail error) (*rotationPart, error) {
	if c.Rotations == nil {
		return nil, nil
	}
	r, err := c.Rotations.Of(ctx, who, name)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &rotationPart{Facts: []fact{{Name: "State", Mark: rotationMark(r)}, {Name: "What it is", Text: rotationSays(r)}}}
	if r.Problem != "" {
		out.Facts = append(out.Facts, fact{Name: "Why", Text: r.Says.Problem}, fact{Name: "What to do", Text: r.Says.Next})
	}
	if r.Fresh != "" {
		out.Facts = append(out.Facts, fact{Name: "Made last", Text: r.Fresh, Code: true})
	}
	if r.State == "promoted" && r.Old != "" {
		out.Facts = append(out.Facts, fact{Name: "Works still", Text: r.Old, Code: true}, fact{Name: "Until", Time: r.Until})
	}
	if !r.Done.IsZero() {
		out.Facts = append(out.Facts, fact{Name: "Replaced last", Time: r.Done})
	}
	out.Facts = append(out.Facts, fact{Name: "Next on", At: r.Due})
	if !writes {
		return out, nil
	}
	hidden := []web.Pair{{Name: "name", Value: name}}
	out.Now = &web.Form{Action: atRotation + "#rotation", Act: "Replace it now", Part: "rotation", Quiet: true, Fault: fail, Hidden: hidden,
		Fields: []web.Field{{Name: "exposed", Label: "Somebody may know it", Type: "checkbox", Value: "yes", Hint: "The former value ends at once. Programs that have not read the new one are refused."}}}
	if r.Problem != "" {
		out.Now.Act = "Try again now"
	}
	out.End = &web.Form{Fold: "Replace it by hand from now on", Action: atRotation + "/end", Act: "End the rotation", Part: "rotation-end", Quiet: true, Hidden: hidden, Loses: "It is replaced by hand from then on."}
	return out, nil
}

func rotationMark(r rotate.Rotation) *web.Mark {
	switch {
	case r.Problem != "":
		return &web.Mark{State: web.Broken, Word: "stands still after " + r.State}
	case r.State == "idle":
		return &web.Mark{State: web.Holds, Word: "nothing is under way"}
	case r.State == "promoted":
		return &web.Mark{State: web.Holds, Word: "replaced; the former value works still"}
	}
	return &web.Mark{State: web.Unproved, Word: "under way, after " + r.State}
}

func rotationSays(r rotate.Rotation) string {
	says := "A role of a PostgreSQL server; " + strings.Join(r.Spec.Roles[:], " and ") + " take turns as members of " + r.Spec.Owner
	if r.Kind == rotate.AccessKey {
		says = "An access key of this server, for " + r.Spec.Path
	}
	if r.Kind == rotate.ServiceToken {
		says = "A token of a service of this server, for " + strings.Join(r.Spec.Scopes, ", ")
	}
	if h := r.Grace / time.Hour; h > 0 {
		says += ". The former one works for " + strconv.Itoa(int(h)) + " h"
	}
	return says + "."
}

// replaceSecret replaces a value now, or tries again what stands still.
func (c *Console) replaceSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name := f.Get("name")
	now, err := c.Rotations.Replace(r.Context(), who, name, f.Get("exposed") != "")
	if err != nil {
		if !formed(err) || name == "" {
			return err
		}
		return c.secretPage(w, r, who, name, secretTries{rotation: err})
	}
	says := name + " is replaced."
	if now.Problem != "" {
		says = "It stands still: " + now.Says.Problem
	}
	return c.done(w, r, paramHref(name)+"#rotation", says)
}

func (c *Console) endRotation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name := f.Get("name")
	if err := c.Rotations.End(r.Context(), who, name); err != nil {
		if !formed(err) || name == "" {
			return err
		}
		return c.secretPage(w, r, who, name, secretTries{rotation: err})
	}
	return c.done(w, r, paramHref(name), name+" is replaced by hand from now on.")
}

// knownForm replaces what is on a list of what somebody knows.
func (c *Console) knownForm(who actor.Actor, whose string, some bool) *web.Form {
	if c.Rotations == nil || !some || !c.Access.May(who, access.VaultWrite) {
		return nil
	}
	return &web.Form{Action: atRotation + "/known", Act: "Replace what replaces itself", Hidden: []web.Pair{{Name: "who", Value: whose}}}
}

func (c *Console) replaceKnown(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	k, err := c.Rotations.ReplaceKnown(r.Context(), who, f.Get("who"))
	if err != nil {
		return err
	}
	says := web.Count(int64(len(k.Replaced)), "secret") + " replaced."
	if n := len(k.Failed); n > 0 {
		says += " " + web.Count(int64(n), "secret") + " stand still: " + strings.Join(k.Failed, ", ") + "."
	}
	if n := len(k.Left); n > 0 {
		says += " By hand: " + strings.Join(k.Left[:min(n, 10)], ", ") + "."
	}
	return c.done(w, r, atSeen+"?"+url.Values{"who": {f.Get("who")}}.Encode(), says)
}

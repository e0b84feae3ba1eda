package scim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/identity"
)

// user is a User in the making.
type user struct{ identity.ProvisionForm }

// leftAside are attributes of RFC 7643 §4.1 that an account here has no use for. A
// password is among them: here people choose their own.
var leftAside = []string{"nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password", "phonenumbers", "ims",
	"photos", "addresses", "entitlements", "roles", "x509certificates"}

// apply implements resource.
func (u *user) apply(o operation) error {
	first, sub, _ := strings.Cut(o.path, ".")
	switch {
	case o.path == "", slices.Contains(leftAside, first):
		return nil
	case slices.Contains([]string{"id", "meta", "groups", "schemas"}, first):
		return readOnly(first)
	case first == "emails":
		return u.applyEmail(o, sub)
	case first == "name":
		return u.applyName(o, sub)
	case sub != "" || len(o.which) > 0:
		return badPath("There is no attribute %q.", short(o.path))
	}
	return u.applyPlain(o)
}

func (u *user) applyPlain(o operation) (err error) {
	if o.verb == remove {
		o.value = nil
	}
	switch o.path {
	case "active":
		if o.verb == remove {
			return badValue("active is true or false.")
		}
		u.Active, err = flag("active", o.value)
	case "username":
		if u.UserName, err = text("userName", o.value); err == nil && strings.TrimSpace(u.UserName) == "" {
			return badValue("A user needs a userName.")
		}
	case "externalid":
		u.ExternalID, err = text("externalId", o.value)
	case "displayname":
		u.Display, err = text("displayName", o.value)
	default:
		return badPath("There is no attribute %q.", short(o.path))
	}
	return err
}

func (u *user) applyName(o operation, sub string) error {
	if sub == "" {
		parts, ok := o.value.(object)
		switch {
		case o.verb == remove, o.value == nil:
			u.Given, u.Family, u.Formatted = "", "", ""
			return nil
		case !ok:
			return badValue("name is an object.")
		}
		for _, k := range slices.Sorted(maps.Keys(parts)) {
			if err := u.applyName(operation{verb: o.verb, value: parts[k]}, k); err != nil {
				return err
			}
		}
		return nil
	}
	if o.verb == remove {
		o.value = nil
	}
	v, err := text("name."+sub, o.value)
	if err != nil {
		return err
	}
	switch sub {
	case "givenname":
		u.Given = v
	case "familyname":
		u.Family = v
	case "formatted":
		u.Formatted = v
	case "middlename", "honorificprefix", "honorificsuffix":
	default:
		return badPath("There is no attribute name.%s.", short(sub))
	}
	return nil
}

// applyEmail keeps one address: that of work, or the primary one. The others are left aside.
func (u *user) applyEmail(o operation, sub string) error {
	for _, t := range o.which {
		work := t.path == "type" && foldEqual("work", t.value)
		primary := t.path == "primary" && t.value == true
		same := t.path == "value" && foldEqual(u.Email, t.value)
		if !work && !primary && !same {
			return nil
		}
	}
	switch {
	case sub == "type", sub == "primary", sub == "display":
		return nil
	case sub != "" && sub != "value":
		return badPath("There is no attribute emails.%s.", short(sub))
	case o.verb == remove:
		u.Email = ""
		return nil
	}
	best, rank := "", -1
	for _, v := range list(o.value) {
		e, isObject := v.(object)
		if !isObject {
			e = object{"value": v}
		}
		address, err := text("emails.value", e["value"])
		if err != nil {
			return err
		}
		r := 0
		if foldEqual("work", e["type"]) {
			r = 1
		}
		if on, err := flag("primary", e["primary"]); err == nil && on {
			r = 2
		}
		if r > rank {
			best, rank = address, r
		}
	}
	u.Email = best
	return nil
}

// fill takes a whole resource. What is not known is left aside.
func (u *user) fill(o object) error {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch k {
		case "username", "externalid", "displayname", "active", "name", "emails":
			if err := u.apply(operation{verb: replace, path: k, value: o[k]}); err != nil {
				return err
			}
		}
	}
	if strings.TrimSpace(u.UserName) == "" {
		return badValue("A user needs a userName.")
	}
	return nil
}

// has looks at the rest of a filter.
func (s search) hasUser(p identity.Provisioned) bool {
	for _, t := range s.rest {
		ok := true
		switch t.path {
		case "id":
			ok = t.value == p.ID
		case "externalid":
			ok = t.value == p.ExternalID
		case "username":
			ok = foldEqual(p.UserName, t.value)
		case "displayname":
			ok = foldEqual(p.Display, t.value)
		case "emails", "emails.value":
			ok = foldEqual(p.Email, t.value)
		case "active":
			on, err := flag("active", t.value)
			ok = err == nil && on == p.Active
		}
		if !ok {
			return false
		}
	}
	return true
}

var userIndex = map[string]string{"id": "id", "externalid": "externalId", "username": "userName", "emails": "email", "emails.value": "email"}

func (d *Door) userOut(p identity.Provisioned) map[string]any {
	m := map[string]any{"schemas": []string{userURN}, "id": p.ID, "userName": p.UserName, "active": p.Active,
		"meta": d.meta("User", "/Users/"+p.ID, p.Created, p.Changed, p.Version)}
	name := map[string]any{}
	for k, v := range map[string]string{"givenName": p.Given, "familyName": p.Family, "formatted": p.Formatted} {
		if v != "" {
			name[k] = v
		}
	}
	if len(name) > 0 {
		m["name"] = name
	}
	if p.ExternalID != "" {
		m["externalId"] = p.ExternalID
	}
	if p.Display != "" {
		m["displayName"] = p.Display
	}
	if p.Email != "" {
		m["emails"] = []any{map[string]any{"value": p.Email, "type": "work", "primary": true}}
	}
	return m
}

func (d *Door) meta(kind, path string, created, changed time.Time, version string) map[string]any {
	return map[string]any{"resourceType": kind, "created": created.UTC().Format(time.RFC3339), "lastModified": changed.UTC().Format(time.RFC3339),
		"version": etag(version), "location": d.Origin + Base + path}
}

func (d *Door) userAnswer(c call, status int, p identity.Provisioned) answer {
	return answer{status: status, body: c.trim(d.userOut(p)), version: p.Version, at: d.Origin + Base + "/Users/" + p.ID}
}

func (d *Door) listUsers(c call) (answer, error) {
	s, err := c.search(userIndex, "displayname", "active")
	if err != nil {
		return answer{}, err
	}
	ask := s.ProvisionQuery
	if len(s.rest) > 0 { // what is looked for by an index is few: all of it, then the page
		ask.Start, ask.Count = 0, maxPage
	}
	people, total, err := d.Directory.ProvisionedPeople(c.Context(), c.who, ask)
	if err != nil {
		return answer{}, err
	}
	if len(s.rest) > 0 {
		people = slices.DeleteFunc(people, func(p identity.Provisioned) bool { return !s.hasUser(p) })
		total = int64(len(people))
		people = people[min(s.Start, len(people)):]
		people = people[:min(s.Count, len(people))]
	}
	var out []any
	for _, p := range people {
		out = append(out, c.trim(d.userOut(p)))
	}
	return page(s, total, out), nil
}

func (d *Door) getUser(c call) (answer, error) {
	p, err := d.Directory.ProvisionedPerson(c.Context(), c.who, c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return c.unchanged(d.userAnswer(c, http.StatusOK, p)), nil
}

func (d *Door) makeUser(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	u := user{identity.ProvisionForm{Active: true}}
	if err := u.fill(o); err != nil {
		return answer{}, err
	}
	p, err := d.Directory.Provision(c.Context(), c.who, u.ProvisionForm, c.begun)
	if err != nil {
		return answer{}, err
	}
	return d.userAnswer(c, http.StatusCreated, p), nil
}

// changeUser reads a user, changes the form, and writes it.
func (d *Door) changeUser(c call, change func(before identity.Provisioned, u *user) error) (answer, error) {
	return c.again(func() (answer, error) {
		before, err := d.Directory.ProvisionedPerson(c.Context(), c.who, c.PathValue("id"))
		if err != nil {
			return answer{}, err
		}
		if err := c.matches(before.Version); err != nil {
			return answer{}, err
		}
		u := user{before.ProvisionForm}
		if err := change(before, &u); err != nil {
			return answer{}, err
		}
		p, err := d.Directory.ChangeProvisioned(c.Context(), c.who, before.ID, before.Version, u.ProvisionForm, c.begun)
		if err != nil {
			return answer{}, err
		}
		return d.userAnswer(c, http.StatusOK, p), nil
	})
}

func (d *Door) putUser(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	return d.changeUser(c, func(before identity.Provisioned, u *user) error {
		*u = user{identity.ProvisionForm{Active: before.Active}} // who is there is no attribute that goes by being left out
		return u.fill(o)
	})
}

func (d *Door) patchUser(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	ops, err := patch(o)
	if err != nil {
		return answer{}, err
	}
	return d.changeUser(c, func(before identity.Provisioned, u *user) error {
		for _, op := range ops {
			if err := u.apply(op); err != nil {
				return err
			}
		}
		if u.Email == before.Email && foldEqual(before.Email, before.UserName) && u.UserName != before.UserName {
			u.Email = "" // the userName is the address, and moves with it
		}
		return nil
	})
}

func (d *Door) deleteUser(c call) (answer, error) {
	return c.again(func() (answer, error) {
		before, err := d.Directory.ProvisionedPerson(c.Context(), c.who, c.PathValue("id"))
		if err != nil {
			return answer{}, err
		}
		if err := c.matches(before.Version); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, d.Directory.Deprovision(c.Context(), c.who, before.ID, before.Version, c.begun)
	})
}

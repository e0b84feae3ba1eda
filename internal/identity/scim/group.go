package scim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"writ/internal/identity"
)

// group is a Group in the making.
type group struct{ identity.GroupForm }

// apply implements resource.
func (g *group) apply(o operation) (err error) {
	if o.verb == remove && o.path != "members" && o.path != "members.value" {
		o.value = nil
	}
	switch first, _, _ := strings.Cut(o.path, "."); {
	case o.path == "":
		return nil
	case o.path == "members", o.path == "members.value" && len(o.which) > 0:
		return g.applyMembers(o)
	case len(o.which) > 0:
		return badPath("There is no attribute %q with values to choose from.", short(o.path))
	case o.path == "displayname":
		if g.Name, err = text("displayName", o.value); err == nil && strings.TrimSpace(g.Name) == "" {
			return badValue("A group needs a displayName.")
		}
		return err
	case o.path == "externalid":
		g.ExternalID, err = text("externalId", o.value)
		return err
	case slices.Contains([]string{"id", "meta", "schemas"}, first):
		return readOnly(first)
	}
	return badPath("There is no attribute %q.", short(o.path))
}

func (g *group) applyMembers(o operation) error {
	if len(o.which) > 0 {
		if o.verb != remove {
			return badPath("Members are added and removed, never changed.")
		}
		for _, t := range o.which {
			id, ok := t.value.(string)
			if t.path != "value" || !ok || len(o.which) > 1 {
				return badPath("A member is named by its value.")
			}
			g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return m == id })
		}
		return nil
	}
	ids := []string{}
	for _, v := range list(o.value) {
		if m, ok := v.(object); ok {
			v = m["value"]
		}
		id, ok := v.(string)
		if !ok || id == "" {
			return badValue("A member is an object with a value.")
		}
		ids = append(ids, id)
	}
	switch {
	case o.verb == replace, o.verb == remove && o.value == nil:
		g.Members = ids
	case o.verb == remove: // as Entra did before it wrote filters
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return slices.Contains(ids, m) })
	default:
		g.Members = slices.Concat(g.Members, ids)
	}
	return nil
}

// fill takes a whole resource. What is not known is left aside.
func (g *group) fill(o object) error {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch k {
		case "displayname", "externalid", "members":
			if err := g.apply(operation{verb: replace, path: k, value: o[k]}); err != nil {
				return err
			}
		}
	}
	if strings.TrimSpace(g.Name) == "" {
		return badValue("A group needs a displayName.")
	}
	return nil
}

func (s search) hasGroup(g identity.ProvisionedGroup) bool {
	for _, t := range s.rest {
		ok := true
		switch t.path {
		case "id":
			ok = t.value == g.ID
		case "externalid":
			ok = t.value == g.ExternalID
		case "displayname":
			ok = foldEqual(g.Name, t.value)
		case "members", "members.value":
			id, _ := t.value.(string)
			ok = slices.Contains(g.Members, id)
		}
		if !ok {
			return false
		}
	}
	return true
}

var groupIndex = map[string]string{"id": "id", "externalid": "externalId", "displayname": "displayName"}

func (d *Door) groupOut(g identity.ProvisionedGroup) map[string]any {
	members := []any{}
	for _, m := range g.Members {
		members = append(members, map[string]any{"value": m, "type": "User", "$ref": d.Origin + Base + "/Users/" + m})
	}
	m := map[string]any{"schemas": []string{groupURN}, "id": g.ID, "displayName": g.Name, "members": members,
		"meta": d.meta("Group", "/Groups/"+g.ID, g.Created, g.Changed, g.Version)}
	if g.ExternalID != "" {
		m["externalId"] = g.ExternalID
	}
	return m
}

func (d *Door) groupAnswer(c call, status int, g identity.ProvisionedGroup) answer {
	return answer{status: status, body: c.trim(d.groupOut(g)), version: g.Version, at: d.Origin + Base + "/Groups/" + g.ID}
}

func (d *Door) listGroups(c call) (answer, error) {
	s, err := c.search(groupIndex, "members", "members.value")
	if err != nil {
		return answer{}, err
	}
	ask := s.ProvisionQuery
	if len(s.rest) > 0 {
		ask.Start, ask.Count = 0, maxPage
	}
	groups, total, err := d.Directory.ProvisionedGroups(c.Context(), c.who, ask)
	if err != nil {
		return answer{}, err
	}
	if len(s.rest) > 0 {
		groups = slices.DeleteFunc(groups, func(g identity.ProvisionedGroup) bool { return !s.hasGroup(g) })
		total = int64(len(groups))
		groups = groups[min(s.Start, len(groups)):]
		groups = groups[:min(s.Count, len(groups))]
	}
	var out []any
	for _, g := range groups {
		out = append(out, c.trim(d.groupOut(g)))
	}
	return page(s, total, out), nil
}

func (d *Door) getGroup(c call) (answer, error) {
	g, err := d.Directory.ProvisionedGroup(c.Context(), c.who, c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return c.unchanged(d.groupAnswer(c, http.StatusOK, g)), nil
}

func (d *Door) makeGroup(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	var g group
	if err := g.fill(o); err != nil {
		return answer{}, err
	}
	made, err := d.Directory.ProvisionGroup(c.Context(), c.who, g.GroupForm)
	if err != nil {
		return answer{}, err
	}
	return d.groupAnswer(c, http.StatusCreated, made), nil
}

func (d *Door) changeGroup(c call, change func(g *group) error) (answer, error) {
	return c.again(func() (answer, error) {
		before, err := d.Directory.ProvisionedGroup(c.Context(), c.who, c.PathValue("id"))
		if err != nil {
			return answer{}, err
		}
		if err := c.matches(before.Version); err != nil {
			return answer{}, err
		}
		g := group{before.GroupForm}
		g.Members = slices.Clone(g.Members)
		if err := change(&g); err != nil {
			return answer{}, err
		}
		after, err := d.Directory.ChangeProvisionedGroup(c.Context(), c.who, before.ID, before.Version, g.GroupForm)
		if err != nil {
			return answer{}, err
		}
		return d.groupAnswer(c, http.StatusOK, after), nil
	})
}

func (d *Door) putGroup(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	return d.changeGroup(c, func(g *group) error {
		*g = group{}
		return g.fill(o)
	})
}

func (d *Door) patchGroup(c call) (answer, error) {
	o, err := c.read()
	if err != nil {
		return answer{}, err
	}
	ops, err := patch(o)
	if err != nil {
		return answer{}, err
	}
	return d.changeGroup(c, func(g *group) error {
		for _, op := range ops {
			if err := g.apply(op); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Door) deleteGroup(c call) (answer, error) {
	return c.again(func() (answer, error) {
		before, err := d.Directory.ProvisionedGroup(c.Context(), c.who, c.PathValue("id"))
		if err != nil {
			return answer{}, err
		}
		if err := c.matches(before.Version); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, d.Directory.EndProvisionedGroup(c.Context(), c.who, before.ID, before.Version)
	})
}

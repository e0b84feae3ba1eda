package scim

import (
	"maps"
	"net/http"
	"strings"

	"writ/internal/fault"
)

// config is what RFC 7643 §5 asks for.
func (d *Door) config(call) (answer, error) {
	no := map[string]any{"supported": false}
	return answer{status: http.StatusOK, body: map[string]any{
		"schemas":        []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":          map[string]any{"supported": true},
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": maxPage},
		"changePassword": no, "sort": no,
		"etag": map[string]any{"supported": true},
		"authenticationSchemes": []any{map[string]any{"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "The token that was shown when the connection was made.", "specUri": "https://www.rfc-editor.org/info/rfc6750"}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": d.Origin + Base + "/ServiceProviderConfig"},
	}}, nil
}

func (d *Door) resourceTypes() []map[string]any {
	one := func(name, path, urn, says string) map[string]any {
		return map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": name, "name": name, "endpoint": path,
			"description": says, "schema": urn, "meta": map[string]any{"resourceType": "ResourceType", "location": d.Origin + Base + "/ResourceTypes/" + name}}
	}
	return []map[string]any{one("User", "/Users", userURN, "People of the team"), one("Group", "/Groups", groupURN, "Groups, which may mean a role")}
}

func everything(all []map[string]any) (answer, error) {
	out := make([]any, len(all))
	for i := range all {
		out[i] = all[i]
	}
	return page(search{}, int64(len(out)), out), nil
}

func oneOf(all []map[string]any, id string) (answer, error) {
	for _, m := range all {
		if have, ok := m["id"].(string); ok && strings.EqualFold(have, id) {
			return answer{status: http.StatusOK, body: m}, nil
		}
	}
	return answer{}, fault.Newf(fault.NotFound, "not_found", "There is nothing of that name.")
}

func (d *Door) types(call) (answer, error)     { return everything(d.resourceTypes()) }
func (d *Door) oneType(c call) (answer, error) { return oneOf(d.resourceTypes(), c.PathValue("id")) }

// attribute describes one attribute (RFC 7643 §7). kept are those whose case counts.
func attribute(name, kind, says string, more map[string]any) map[string]any {
	m := map[string]any{"name": name, "type": kind, "description": says, "multiValued": false, "required": false, "mutability": "readWrite", "returned": "default"}
	if kind == "string" {
		m["caseExact"], m["uniqueness"] = false, "none"
	}
	maps.Copy(m, more)
	return m
}

func (d *Door) schemaList() []map[string]any {
	one := func(urn, name string, attributes ...any) map[string]any {
		return map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": urn, "name": name, "attributes": attributes,
			"meta": map[string]any{"resourceType": "Schema", "location": d.Origin + Base + "/Schemas/" + urn}}
	}
	must := map[string]any{"required": true, "uniqueness": "server"}
	exact := map[string]any{"caseExact": true}
	part := func(name string) any { return attribute(name, "string", "A part of the name.", nil) }
	return []map[string]any{
		one(userURN, "User",
			attribute("userName", "string", "By which the directory names the person; unique in the connection.", must),
			attribute("externalId", "string", "The directory's own id.", exact),
			attribute("displayName", "string", "What to call the person.", nil),
			attribute("name", "complex", "The parts of the name.", map[string]any{"subAttributes": []any{part("formatted"), part("givenName"), part("familyName")}}),
			attribute("emails", "complex", "The address; one is kept, that of work or the primary one.", map[string]any{"multiValued": true, "subAttributes": []any{
				attribute("value", "string", "The address.", nil), attribute("type", "string", "work", nil), attribute("primary", "boolean", "Always true.", nil)}}),
			attribute("active", "boolean", "False ends everything of the person in the team.", nil)),
		one(groupURN, "Group",
			attribute("displayName", "string", "The name, which may mean a role.", must),
			attribute("externalId", "string", "The directory's own id.", exact),
			attribute("members", "complex", "Users of the team.", map[string]any{"multiValued": true, "subAttributes": []any{
				attribute("value", "string", "The user's id.", exact), attribute("$ref", "reference", "The user's address.", map[string]any{"referenceTypes": []string{"User"}}),
				attribute("type", "string", "User", nil)}})),
	}
}

func (d *Door) schemas(call) (answer, error)     { return everything(d.schemaList()) }
func (d *Door) oneSchema(c call) (answer, error) { return oneOf(d.schemaList(), c.PathValue("id")) }

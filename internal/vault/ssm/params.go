package ssm

import (
	"errors"
	"fmt"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
)

// maxNames in one call.
const maxNames = 10

type tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

func put(c *call) (any, error) {
	in, err := read[struct {
		Name           string
		Value          secret.Text
		Type           string
		Description    *string
		KeyId          *string //nolint:revive // the wire's name
		Overwrite      bool
		AllowedPattern *string
		Tags           []tag
		Tier           string
		Policies       *string
		DataType       string
	}](c)
	if err != nil {
		return nil, err
	}
	w := vault.Put{Name: in.Name, Value: in.Value, Type: vault.Type(in.Type), Overwrite: in.Overwrite, Description: in.Description, Pattern: in.AllowedPattern,
		KeyID: in.KeyId, Tier: in.Tier, DataType: in.DataType, Once: c.once, MostKept: mostKept, Wire: true}
	for _, t := range in.Tags {
		w.Tags = append(w.Tags, vault.Tag{Name: t.Key, Value: t.Value})
	}
	if in.Policies != nil {
		l, err := vault.ParseLifecycle(*in.Policies)
		if err != nil {
			return nil, err
		}
		w.Lifecycle = &l
	}
	if in.Overwrite && len(in.Tags) > 0 {
		return nil, aws.Invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	}
	done, err := c.vault.Put(c.ctx, c.who, w)
	if err != nil {
		return nil, err
	}
	return struct {
		Version int64
		Tier    string
	}{done.Version, done.Tier}, nil
}

// parameter is a value on the wire.
type parameter struct {
	Name             string
	Type             string
	Value            string
	Version          int64
	Selector         string `json:",omitempty"`
	LastModifiedDate float64
	ARN              string
	DataType         string
}

func (c *call) parameter(v vault.Value, sel string) parameter {
	return parameter{Name: v.Name, Type: string(v.Type), Value: shown(v), Version: v.Version, Selector: sel, LastModifiedDate: epoch(v.Changed), ARN: c.arn(v.Name), DataType: v.DataType}
}

// withheld stands for a value that was not asked for decrypted. The service itself shows
// its ciphertext, which no client can use.
const withheld = "AQICAHsealed"

func shown(v vault.Value) string {
	if v.Sealed {
		return withheld
	}
	return v.Text.Reveal()
}

func get(c *call) (any, error) {
	in, err := read[struct {
		Name           string
		WithDecryption bool
	}](c)
	if err != nil {
		return nil, err
	}
	sel, err := vault.ParseSelector(named(in.Name))
	if err != nil {
		return nil, err
	}
	v, err := c.vault.Get(c.ctx, c.who, sel, vault.Read{Decrypt: in.WithDecryption})
	if err != nil {
		return nil, err
	}
	return struct{ Parameter parameter }{c.parameter(v, sel.String())}, nil
}

// few refuses a list of names that is empty or too long, in the words of the service.
func few(names []string, what string) error {
	if len(names) == 0 || len(names) > maxNames {
		rule := "less than or equal to 10"
		if len(names) == 0 {
			rule = "greater than or equal to 1"
		}
		return aws.Invalid(fmt.Sprintf("1 validation error detected: Value '[%s]' at '%s' failed to satisfy constraint: Member must have length %s.", strings.Join(names, ", "), what, rule))
	}
	return nil
}

func getMany(c *call) (any, error) {
	in, err := read[struct {
		Names          []string
		WithDecryption bool
	}](c)
	if err != nil {
		return nil, err
	}
	if err := few(in.Names, "names"); err != nil {
		return nil, err
	}
	out := struct {
		Parameters        []parameter
		InvalidParameters []string
	}{[]parameter{}, []string{}}
	var sels []vault.Selector
	for _, n := range in.Names {
		sel, err := vault.ParseSelector(named(n))
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, n)
			continue
		}
		sels = append(sels, sel)
	}
	found, missing, err := c.vault.GetMany(c.ctx, c.who, sels, vault.Read{Decrypt: in.WithDecryption})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		out.Parameters = append(out.Parameters, c.parameter(f.Value, f.Asked.String()))
	}
	for _, m := range missing {
		out.InvalidParameters = append(out.InvalidParameters, m.Name+m.String())
	}
	return out, nil
}

func remove(c *call) (any, error) {
	in, err := read[struct{ Name string }](c)
	if err != nil {
		return nil, err
	}
	return nil, c.vault.Delete(c.ctx, c.who, named(in.Name))
}

func removeMany(c *call) (any, error) {
	in, err := read[struct{ Names []string }](c)
	if err != nil {
		return nil, err
	}
	if err := few(in.Names, "names"); err != nil {
		return nil, err
	}
	out := struct{ DeletedParameters, InvalidParameters []string }{[]string{}, []string{}}
	for _, n := range in.Names {
		switch err := c.vault.Delete(c.ctx, c.who, named(n)); {
		case errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid):
			out.InvalidParameters = append(out.InvalidParameters, n)
		case err != nil:
			return nil, err
		default:
			out.DeletedParameters = append(out.DeletedParameters, n)
		}
	}
	return out, nil
}

func label(c *call) (any, error) {
	in, err := read[struct {
		Name             string
		ParameterVersion int64
		Labels           []string
	}](c)
	if err != nil {
		return nil, err
	}
	if err := few(in.Labels, "labels"); err != nil {
		return nil, err
	}
	bad, on, err := c.vault.Label(c.ctx, c.who, named(in.Name), in.ParameterVersion, in.Labels)
	if err != nil {
		return nil, err
	}
	return struct {
		InvalidLabels    []string
		ParameterVersion int64
	}{list(bad), on}, nil
}

func unlabel(c *call) (any, error) {
	in, err := read[struct {
		Name             string
		ParameterVersion *int64
		Labels           []string
	}](c)
	if err != nil {
		return nil, err
	}
	if in.ParameterVersion == nil || *in.ParameterVersion < 1 {
		return nil, aws.Invalid("1 validation error detected: Value null at 'parameterVersion' failed to satisfy constraint: Member must not be null.")
	}
	if err := few(in.Labels, "labels"); err != nil {
		return nil, err
	}
	removed, bad, err := c.vault.Unlabel(c.ctx, c.who, named(in.Name), *in.ParameterVersion, in.Labels)
	if err != nil {
		return nil, err
	}
	return struct{ RemovedLabels, InvalidLabels []string }{list(removed), list(bad)}, nil
}

// list is never null: no member of an answer is.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// resource reads whose tags are meant.
type resource struct {
	ResourceType string
	ResourceId   string //nolint:revive // the wire's name
	Tags         []tag
	TagKeys      []string
}

func readResource(c *call) (resource, error) {
	in, err := read[resource](c)
	if err == nil && in.ResourceType != "Parameter" {
		err = aws.Refuse("InvalidResourceType", "The resource type is not valid. Only Parameter has tags here.")
	}
	return in, err
}

// noResource is how a name that is not there is called where tags are meant.
func noResource(err error) error {
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) && !strings.Contains(err.Error(), "tag_") {
		return aws.Refuse("InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
	}
	return err
}

func addTags(c *call) (any, error) {
	in, err := readResource(c)
	if err != nil {
		return nil, err
	}
	var tags []vault.Tag
	for _, t := range in.Tags {
		tags = append(tags, vault.Tag{Name: t.Key, Value: t.Value})
	}
	return nil, noResource(c.vault.SetTags(c.ctx, c.who, named(in.ResourceId), tags))
}

func removeTags(c *call) (any, error) {
	in, err := readResource(c)
	if err != nil {
		return nil, err
	}
	return nil, noResource(c.vault.DropTags(c.ctx, c.who, named(in.ResourceId), in.TagKeys))
}

func listTags(c *call) (any, error) {
	in, err := readResource(c)
	if err != nil {
		return nil, err
	}
	tags, err := c.vault.Tags(c.ctx, c.who, named(in.ResourceId))
	if err != nil {
		return nil, noResource(err)
	}
	out := struct{ TagList []tag }{[]tag{}}
	for _, t := range tags {
		out.TagList = append(out.TagList, tag{t.Name, t.Value})
	}
	return out, nil
}

package ssm

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"writ/internal/vault"
	"writ/internal/vault/aws"
)

// The limits of pages and filters.
const (
	pathPage     = 10
	describePage = 50
	maxFilters   = 50
	maxOption    = 10
)

// filter is a condition of a list: Key and Option are the new form's names, the old form
// has key and values alone.
type filter struct {
	Key    string
	Option string
	Values []string
}

// page reads where a list goes on, and how many of it are wanted.
func page(asked *int, token string, most int) (vault.Page, error) {
	p := vault.Page{Max: most}
	if asked != nil {
		if *asked < 1 || *asked > most {
			rule := fmt.Sprintf("less than or equal to %d", most)
			if *asked < 1 {
				rule = "greater than or equal to 1"
			}
			return p, aws.Invalid(fmt.Sprintf("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value %s.", *asked, rule))
		}
		p.Max = *asked
	}
	if token != "" {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || !strings.HasPrefix(string(b), tokenMark) {
			return p, aws.Refuse("InvalidNextToken", "The specified token is not valid.")
		}
		p.After = strings.TrimPrefix(string(b), tokenMark)
	}
	return p, nil
}

const tokenMark = "1:"

func token(next string) string {
	if next == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(tokenMark + next))
}

// query makes a query of filters; only some keys make sense for a list.
func query(fs []filter, keys ...string) (vault.Query, error) {
	var q vault.Query
	if len(fs) > maxFilters {
		return q, aws.Refuse("InvalidFilterKey", "There are too many filters.")
	}
	seen := map[string]bool{}
	for _, f := range fs {
		key, _, _ := strings.Cut(f.Key, ":")
		if !slices.Contains(keys, key) || (key == "tag") != strings.HasPrefix(f.Key, "tag:") || f.Key == "tag:" {
			return q, aws.Refuse("InvalidFilterKey", fmt.Sprintf("The filter key %s is not valid. Valid filter keys include: [%s].", f.Key, strings.Join(keys, ", ")))
		}
		if seen[f.Key] {
			return q, aws.Refuse("InvalidFilterKey", "The following filters are duplicated in the request: ["+f.Key+"]. A request can contain only one instance of a specific filter.")
		}
		seen[f.Key] = true
		if err := f.into(&q, key); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (f filter) into(q *vault.Query, key string) error {
	option := func(may ...string) error {
		if len(f.Option) > maxOption || f.Option != "" && !slices.Contains(may, f.Option) {
			return aws.Refuse("InvalidFilterOption", fmt.Sprintf("The following filter option is not valid: %s. Valid options include: [%s].", f.Option, strings.Join(may, ", ")))
		}
		return nil
	}
	if len(f.Values) == 0 && key != "tag" {
		return aws.Refuse("InvalidFilterValue", "The following filter values are missing: null for filter key "+f.Key+".")
	}
	m := vault.Match{How: vault.How(f.Option), Values: f.Values}
	switch key {
	case "Path":
		if err := option("OneLevel", "Recursive"); err != nil {
			return err
		}
		if len(f.Values) != 1 || !strings.HasPrefix(f.Values[0], "/") {
			return aws.Refuse("InvalidFilterValue", "A filter of the key Path needs one value, which begins with a slash.")
		}
		q.Path, q.Recursive = f.Values[0], f.Option == "Recursive"
		return nil
	case "Name":
		q.Name = m
		return option("Equals", "BeginsWith", "Contains")
	case "Type":
		q.Types = m
		return option("Equals", "BeginsWith")
	case "KeyId":
		q.Keys = m
		return option("Equals", "BeginsWith")
	case "Tier":
		q.Tiers = m
	case "DataType":
		q.DataTypes = m
	case "Label":
		q.Label = f.Values[0]
	default:
		if q.Tags == nil {
			q.Tags = map[string]vault.Match{}
		}
		q.Tags[strings.TrimPrefix(f.Key, "tag:")] = m
	}
	return option("Equals")
}

func byPath(c *call) (any, error) {
	in, err := read[struct {
		Path             string
		Recursive        bool
		ParameterFilters []filter
		WithDecryption   bool
		MaxResults       *int
		NextToken        string
	}](c)
	if err != nil {
		return nil, err
	}
	p, err := page(in.MaxResults, in.NextToken, pathPage)
	if err != nil {
		return nil, err
	}
	q, err := query(in.ParameterFilters, "Type", "KeyId", "Label")
	if err != nil {
		return nil, err
	}
	q.Path, q.Recursive = in.Path, in.Recursive
	vs, next, err := c.vault.ByPath(c.ctx, c.who, q, vault.Read{Decrypt: in.WithDecryption}, p)
	if err != nil {
		return nil, err
	}
	out := struct {
		Parameters []parameter
		NextToken  string `json:",omitempty"`
	}{[]parameter{}, token(next)}
	for _, v := range vs {
		out.Parameters = append(out.Parameters, c.parameter(v, ""))
	}
	return out, nil
}

// metadata is a parameter without its value.
type metadata struct {
	Name             string
	ARN              string `json:",omitempty"`
	Type             string
	KeyId            string `json:",omitempty"` //nolint:revive // the wire's name
	LastModifiedDate float64
	LastModifiedUser string
	Description      string   `json:",omitempty"`
	AllowedPattern   string   `json:",omitempty"`
	Value            string   `json:",omitempty"`
	Labels           []string `json:",omitzero"` // of a history, where it may be empty
	Version          int64
	Tier             string
	Policies         []policy
	DataType         string
}

type policy struct {
	PolicyText   string
	PolicyType   string
	PolicyStatus string
}

func (c *call) metadata(p vault.Param) metadata {
	return metadata{Name: p.Name, ARN: c.arn(p.Name), Type: string(p.Type), KeyId: p.KeyID, LastModifiedDate: epoch(p.Changed), LastModifiedUser: c.User(p.ChangedBy),
		Description: p.Description, AllowedPattern: p.Pattern, Version: p.Version, Tier: p.Tier, Policies: policies(p), DataType: p.DataType}
}

func policies(p vault.Param) []policy {
	out := []policy{}
	for _, l := range p.Lifecycle {
		out = append(out, policy{l.Text(), l.Type, "Pending"})
	}
	return out
}

func describe(c *call) (any, error) {
	in, err := read[struct {
		Filters          []filter
		ParameterFilters []filter
		MaxResults       *int
		NextToken        string
	}](c)
	if err != nil {
		return nil, err
	}
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, aws.Invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	p, err := page(in.MaxResults, in.NextToken, describePage)
	if err != nil {
		return nil, err
	}
	var q vault.Query
	if len(in.Filters) > 0 {
		for i := range in.Filters {
			in.Filters[i].Option = ""
		}
		q, err = query(in.Filters, "Name", "Type", "KeyId")
		q.Name.How = vault.BeginsWith
	} else {
		q, err = query(in.ParameterFilters, "Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag")
	}
	if err != nil {
		return nil, err
	}
	ps, next, err := c.vault.List(c.ctx, c.who, q, p)
	if err != nil {
		return nil, err
	}
	out := struct {
		Parameters []metadata
		NextToken  string `json:",omitempty"`
	}{[]metadata{}, token(next)}
	for _, p := range ps {
		out.Parameters = append(out.Parameters, c.metadata(p))
	}
	return out, nil
}

func history(c *call) (any, error) {
	in, err := read[struct {
		Name           string
		WithDecryption bool
		MaxResults     *int
		NextToken      string
	}](c)
	if err != nil {
		return nil, err
	}
	p, err := page(in.MaxResults, in.NextToken, describePage)
	if err != nil {
		return nil, err
	}
	vs, next, err := c.vault.History(c.ctx, c.who, named(in.Name), vault.Read{Decrypt: in.WithDecryption}, p)
	if err != nil {
		return nil, err
	}
	out := struct {
		Parameters []metadata
		NextToken  string `json:",omitempty"`
	}{[]metadata{}, token(next)}
	for _, v := range vs {
		m := c.metadata(v.Param)
		m.ARN, m.Value, m.Labels = "", shown(v), list(v.Labels)
		out.Parameters = append(out.Parameters, m)
	}
	return out, nil
}

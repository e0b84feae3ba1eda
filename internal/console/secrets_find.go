package console

import (
	"net/url"
	"strconv"
	"time"

	"writ/internal/vault"
	"writ/internal/web"
)

// secretSearch is what the form above the list of parameters asks for.
func (c *Console) secretSearch(path, name string, v url.Values) vault.Search {
	f := vault.Search{Path: path, Name: name, Critical: v.Get("only") == "critical", Sensitive: v.Get("only") == "sensitive", Due: v.Get("only") == "due"}
	for field, to := range map[string]*time.Time{"unread": &f.ReadBefore, "unchanged": &f.ChangedBefore, "older": &f.MadeBefore} {
		if n, err := strconv.Atoi(v.Get(field)); err == nil && n > 0 && n <= 36500 {
			*to = c.Now().AddDate(0, 0, -n)
		}
	}
	return f
}

// secretFilters are its fields beside path and name.
func secretFilters(v url.Values) []web.Field {
	one := func(name, label string, options ...string) web.Field {
		f := web.Field{Name: name, Label: label, Type: "select", Options: []web.Option{{Text: "any"}}}
		for i := 0; i+1 < len(options); i += 2 {
			f.Options = append(f.Options, web.Option{Value: options[i], Text: options[i+1], Chosen: v.Get(name) == options[i]})
		}
		return f
	}
	days := func(name, label string) web.Field {
		return one(name, label, "30", "30 days", "90", "90 days", "365", "a year")
	}
	return []web.Field{one("only", "That are", "due", "due for another value", "critical", "critical", "sensitive", "sensitive"),
		days("unread", "Not read for"), days("unchanged", "Not changed for"), days("older", "Older than")}
}

package watch_test

import (
	"testing"

	"writ/internal/journal"
	"writ/internal/watch"
)

// A look that gives the reason which the policy wants, and a ticket, is no alarm; one that lacks
// either is a page, each for itself.
func TestStaffViewWithoutReason(t *testing.T) { // breaks: use.need-to-see
	public := func(name string, v any) journal.Field {
		return journal.Field{Name: name, State: journal.Public, Value: v}
	}
	hidden, gone := journal.Field{Name: "reason", State: journal.Hidden}, journal.Field{Name: "reason", State: journal.Redacted}
	wanted, optional, ticket := public("asks", "required"), public("asks", "optional"), public("ticket", "T-1")
	for name, c := range map[string]struct {
		fields []journal.Field
		alarms int
	}{
		"reason and ticket":              {[]journal.Field{wanted, ticket, hidden}, 0},
		"of somebody who was erased":     {[]journal.Field{wanted, ticket, gone}, 0},
		"none, and the policy asks none": {[]journal.Field{optional, ticket}, 0},
		"no reason":                      {[]journal.Field{wanted, ticket}, 1},
		"from before it was said":        {[]journal.Field{ticket}, 1},
		"no ticket":                      {[]journal.Field{wanted, public("ticket", ""), hidden}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := lite(t)
			w.follow(entry("identity.impersonated", "p:eva", c.fields...))
			if as := w.alarms("staff-view-without-reason"); len(as) != c.alarms || c.alarms > 0 && (as[0].Severity != "page" || as[0].State != watch.Firing) {
				t.Errorf("%+v", as)
			}
		})
	}
}

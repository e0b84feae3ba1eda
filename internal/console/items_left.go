package console

import (
	"net/http"
	"net/url"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// showLeft is what somebody who left leaves to the reader: items to hand over, and secrets to
// replace.
func (c *Console) showLeft(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	gone := r.URL.Query().Get("who")
	left, err := c.Items.Left(r.Context(), who, gone)
	if err != nil {
		return err
	}
	p := itemsPage{Table: web.Table{Columns: []web.Column{{Name: "Item"}, {Name: "To do"}, {Name: "Secrets that they saw"}}, Count: web.Count(int64(len(left)), "item"),
		Empty: web.Empty{Says: "Nothing is left to do: every item has its owner, and whatever they saw was replaced since."}}}
	for _, l := range left {
		do := "Replace what they saw."
		switch {
		case l.Ownerless:
			do = "Name an owner."
		case l.Few:
			do = "Share it with one more."
		case len(l.Saw) == 0:
			do = "Nothing: it is shared with them still."
		}
		saw := web.And(l.Saw)
		if saw == "" {
			saw = "none"
		}
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: l.Title, Href: itemHref(l.ID), Sub: l.Folder}, {Text: do}, {Text: saw}}})
	}
	whose := "person/" + gone
	if c.Vault != nil && c.Access.May(who, access.VaultAudit) {
		p.Acts = []web.Link{{Text: "All that they know", Href: atSeen + "?" + url.Values{"who": {whose}}.Encode()}}
	}
	return c.show(w, r, "people", web.View{Title: "What " + c.acted(r.Context(), whose) + " leaves", Lead: "Of the items that are yours to answer for: what wants an owner, and what they may still know.",
		Up: &web.Link{Text: "Company vault", Href: atItems}, Data: p})
}

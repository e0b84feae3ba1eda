package incident

import (
	"context"
	"strings"

	"writ/internal/actor"
)

// Mailed is what somebody wrote to the address for reports. Whoever is named as its sender may
// know nothing of it.
type Mailed struct {
	From, Subject, Text string
	Network             string // from which the mail server took it; "" = it does not say
}

// ReportMailed takes a report by letter, as the form takes one: as many from a network, and as many
// that name one sender. Errors: fault.Invalid, fault.Limited.
func (s *Service) ReportMailed(ctx context.Context, m Mailed) (string, error) { // clause: inc.categorise
	if m.Network == "" {
		m.Network = "mail"
	}
	text := strings.TrimSpace(m.Subject + "\n\n" + m.Text)
	if r := []rune(text); len(r) > maxReport {
		text = string(r[:maxReport-1]) + "…"
	}
	return s.Report(ctx, actor.Actor{Kind: actor.Machine, ID: "mail", Via: "lmtp"}, NewReport{Kind: ReportKinds()[0].ID, Text: text, Email: m.From, Network: m.Network, mailed: true})
}

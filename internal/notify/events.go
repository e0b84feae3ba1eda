package notify

import "writ/internal/ledger"

const clauseNotify = "mon.notify"

// ChannelAdded is a way by which people are told from now on.
type ChannelAdded struct {
	Channel string `class:"public"`
	Kind    string `class:"public"`
}

// About implements ledger.Event.
func (e ChannelAdded) About() ledger.About {
	return ledger.About{Name: "notify.channel-added", Clause: clauseNotify, Object: "channel/" + e.Channel}
}

// ChannelRemoved is a way that is no more.
type ChannelRemoved struct {
	Channel string `class:"public"`
}

// About implements ledger.Event.
func (e ChannelRemoved) About() ledger.About {
	return ledger.About{Name: "notify.channel-removed", Clause: clauseNotify, Object: "channel/" + e.Channel}
}

// ChannelTested is a test message that was queued, by somebody or by the week.
type ChannelTested struct {
	Channel  string `class:"public"`
	Delivery string `class:"public"`
}

// About implements ledger.Event.
func (e ChannelTested) About() ledger.About {
	return ledger.About{Name: "notify.channel-tested", Clause: clauseNotify, Object: "channel/" + e.Channel}
}

// MessageAccepted is a message that its receiver's server has taken.
type MessageAccepted struct {
	Delivery string `class:"public"`
	Channel  string `class:"public"`
	On       string `class:"public"` // kind/id that it is about
	Code     string `class:"public"`
	Tries    int64  `class:"public"`
}

// About implements ledger.Event.
func (e MessageAccepted) About() ledger.About {
	return ledger.About{Name: "notify.accepted", Clause: clauseNotify, Object: "delivery/" + e.Delivery}
}

// MessageRejected is a message that will not arrive.
type MessageRejected struct {
	Delivery string `class:"public"`
	Channel  string `class:"public"`
	On       string `class:"public"`
	Code     string `class:"public"`
	Tries    int64  `class:"public"`
}

// About implements ledger.Event.
func (e MessageRejected) About() ledger.About {
	return ledger.About{Name: "notify.rejected", Clause: clauseNotify, Object: "delivery/" + e.Delivery}
}

// MessageLeftUnknown is a message that was handed over, and no answer came. It may have
// arrived.
type MessageLeftUnknown struct {
	Delivery string `class:"public"`
	Channel  string `class:"public"`
	On       string `class:"public"`
	Code     string `class:"public"`
	Again    bool   `class:"public"` // it is sent again, and says so
}

// About implements ledger.Event.
func (e MessageLeftUnknown) About() ledger.About {
	return ledger.About{Name: "notify.left-unknown", Clause: clauseNotify, Object: "delivery/" + e.Delivery}
}

// MessageBounced is a message that its receiver's server took, and that came back.
type MessageBounced struct {
	Delivery string `class:"public"`
	Channel  string `class:"public"`
	On       string `class:"public"`
	Code     string `class:"public"`
	Hard     bool   `class:"public"` // the address takes no letters at all
}

// About implements ledger.Event.
func (e MessageBounced) About() ledger.About {
	return ledger.About{Name: "notify.bounced", Clause: clauseNotify, Object: "delivery/" + e.Delivery}
}

// MessageDelivered is a message that lies in the box of its receiver, as the box's host says.
type MessageDelivered struct {
	Delivery string `class:"public"`
	Channel  string `class:"public"`
	On       string `class:"public"`
}

// About implements ledger.Event.
func (e MessageDelivered) About() ledger.About {
	return ledger.About{Name: "notify.delivered", Clause: clauseNotify, Object: "delivery/" + e.Delivery}
}

// ReportRefused is a notice about a delivery that was none, or about no letter of ours.
type ReportRefused struct {
	Code string `class:"public"`
}

// About implements ledger.Event.
func (e ReportRefused) About() ledger.About {
	return ledger.About{Name: "notify.report-refused", Clause: clauseNotify}
}

// AddressRestored is somebody's word that letters reach an address again, or a letter of ours
// whose link was used there.
type AddressRestored struct {
	Mark string `class:"public"`
}

// About implements ledger.Event.
func (e AddressRestored) About() ledger.About {
	return ledger.About{Name: "notify.address-restored", Clause: clauseNotify, Object: "address/" + e.Mark}
}

package status

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// UpdatePosted is a text that stands on the page from now on.
type UpdatePosted struct {
	Update     string    `class:"public"`
	Public     string    `class:"public"` // id of the incident on the page
	State      string    `class:"public"`
	TextHash   string    `class:"public"`
	Estimate   time.Time `class:"public"`
	Next       time.Time `class:"public"`
	Components []string  `class:"public"`
	Corrects   string    `class:"public"`
}

// About implements ledger.Event.
func (e UpdatePosted) About() ledger.About {
	return ledger.About{Name: "incident.update-posted", Clause: "inc.updates", Object: "status/" + e.Public}
}

// ComponentAdded is a component that the page shows from now on.
type ComponentAdded struct {
	Component string `class:"public"`
	Name      string `class:"public"`
	Group     string `class:"public"`
}

// About implements ledger.Event.
func (e ComponentAdded) About() ledger.About {
	return ledger.About{Name: "incident.component-added", Clause: "inc.public-notice", Object: "component/" + e.Component}
}

// ComponentSet is how a component is from now on.
type ComponentSet struct {
	Component string `class:"public"`
	State     string `class:"public"`
}

// About implements ledger.Event.
func (e ComponentSet) About() ledger.About {
	return ledger.About{Name: "incident.component-set", Clause: "inc.public-notice", Object: "component/" + e.Component}
}

// ComponentRetired is a component that is shown no more.
type ComponentRetired struct {
	Component string `class:"public"`
}

// About implements ledger.Event.
func (e ComponentRetired) About() ledger.About {
	return ledger.About{Name: "incident.component-withdrawn", Clause: "inc.public-notice", Object: "component/" + e.Component}
}

// WindowSet is maintenance that is announced, or a step of it.
type WindowSet struct {
	Window string    `class:"public"`
	State  string    `class:"public"`
	Starts time.Time `class:"public"`
	Ends   time.Time `class:"public"`
	Closes bool      `class:"public"` // the gate
}

// About implements ledger.Event.
func (e WindowSet) About() ledger.About {
	return ledger.About{Name: "incident.window-set", Clause: "inc.public-notice", Object: "window/" + e.Window}
}

// WindowConfirmed is maintenance that may begin: a person said so.
type WindowConfirmed struct {
	Window string `class:"public"`
}

// About implements ledger.Event.
func (e WindowConfirmed) About() ledger.About {
	return ledger.About{Name: "incident.window-confirmed", Clause: "inc.public-notice", Object: "window/" + e.Window}
}

// ComponentCovered is what a component stands on from now on, as alarms name it.
type ComponentCovered struct {
	Component string   `class:"public"`
	Covers    []string `class:"public"`
}

// About implements ledger.Event.
func (e ComponentCovered) About() ledger.About {
	return ledger.About{Name: "incident.component-covered", Clause: "inc.public-notice", Object: "component/" + e.Component}
}

// SubscriptionAsked is a letter that asks whether an address is to be told of updates.
type SubscriptionAsked struct {
	Subscriber string `class:"public"`
	Network    string `class:"personal"`
}

// About implements ledger.Event.
func (e SubscriptionAsked) About() ledger.About {
	return ledger.About{Name: "incident.subscription-asked", Object: "subscriber/" + e.Subscriber}
}

// SubscriptionRefused is one network that asks too often.
type SubscriptionRefused struct {
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e SubscriptionRefused) About() ledger.About {
	return ledger.About{Name: "incident.subscription-refused"}
}

// Subscribed is an address or a webhook that is told of updates from now on.
type Subscribed struct {
	Subscriber string `class:"public"`
	Kind       string `class:"public"` // mail, webhook
}

// About implements ledger.Event.
func (e Subscribed) About() ledger.About {
	return ledger.About{Name: "incident.subscribed", Object: "subscriber/" + e.Subscriber, Subject: keyring.Subject{Kind: subscriberKind, ID: e.Subscriber}}
}

// SubscriptionSet is what a subscriber wants to hear of from now on.
type SubscriptionSet struct {
	Subscriber string   `class:"public"`
	Components []string `class:"public"` // none = all
}

// About implements ledger.Event.
func (e SubscriptionSet) About() ledger.About {
	return ledger.About{Name: "incident.subscription-set", Object: "subscriber/" + e.Subscriber}
}

// Unsubscribed is the end of it; the address is erased.
type Unsubscribed struct {
	Subscriber string `class:"public"`
}

// About implements ledger.Event.
func (e Unsubscribed) About() ledger.About {
	return ledger.About{Name: "incident.subscription-ended", Object: "subscriber/" + e.Subscriber}
}

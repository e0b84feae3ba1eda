package gateway

import (
	"strconv"
	"time"

	"writ/internal/ledger"
)

// DestinationListed says that private services may reach a place outside for a while.
type DestinationListed struct {
	Name   string    `class:"public"`
	Port   int       `class:"public"`
	Inside string    `class:"public"` // networks in which it may lie beside the public ones
	Until  time.Time `class:"public"`
	id     string
	reason string
}

// About implements ledger.Event.
func (e DestinationListed) About() ledger.About {
	return ledger.About{Name: "gateway.destination-listed", Clause: noPrivateUse, Object: "egress/" + e.id, Reason: e.reason}
}

// DestinationRemoved says that such a place can be reached no longer.
type DestinationRemoved struct {
	Name string `class:"public"`
	Port int    `class:"public"`
	How  string `class:"public"` // removed, or time is over
	id   string
}

// About implements ledger.Event.
func (e DestinationRemoved) About() ledger.About {
	return ledger.About{Name: "gateway.destination-removed", Clause: noPrivateUse, Object: "egress/" + e.id}
}

// EgressPassed are connections of a private service to a listed place. The first in a minute
// is an entry of its own; the others, and the bytes of those that ended, are one more.
type EgressPassed struct {
	Caller   string `class:"public"` // service/name, or kind/id of whose token it was
	Name     string `class:"public"`
	Port     int    `class:"public"`
	Count    int64  `class:"public"`
	Sent     int64  `class:"public"` // bytes
	Received int64  `class:"public"`
}

// About implements ledger.Event.
func (e EgressPassed) About() ledger.About {
	return ledger.About{Name: "gateway.egress-passed", Clause: noPrivateUse, Object: "egress/" + e.Name + ":" + strconv.Itoa(e.Port)}
}

// EgressRefused are connections that were not let out, or not let on, in a minute.
type EgressRefused struct {
	Caller string `class:"public"` // "" = nobody known
	Name   string `class:"public"` // "" = no plain name
	Port   int    `class:"public"`
	Cause  string `class:"public"`
	Count  int64  `class:"public"`
}

// About implements ledger.Event.
func (e EgressRefused) About() ledger.About {
	return ledger.About{Name: "gateway.egress-refused", Clause: gatewayOnly, Object: "step/egress"}
}

package gateway_test

import (
	"errors"
	"testing"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
)

// breaks: crypto.provider-edge
func TestOutbound(t *testing.T) {
	good := []gateway.Outbound{{Name: "application", Host: "127.0.0.1"}, {Name: "mail", Host: "192.0.2.25", Encrypted: true}, {Name: "database"}}
	bad := append(good, gateway.Outbound{Name: "keys", Host: "192.0.2.9"})
	peers := good
	k := open(t, options{outbound: func() []gateway.Outbound { return peers }})
	if r := control(t, k, k.door(), "gateway.outbound"); r.Outcome != clause.Pass {
		t.Fatalf("good places: %+v", r)
	}
	peers = bad
	mustFail(t, control(t, k, k.door(), "gateway.outbound"), "keys at 192.0.2.9")
	if err := gateway.CheckOutbound(t.Context(), good); err != nil {
		t.Errorf("good places refused: %v", err)
	}
	if err := gateway.CheckOutbound(t.Context(), bad); !errors.Is(err, fault.Invalid) {
		t.Errorf("a clear connection to the outside was taken: %v", err)
	}
}

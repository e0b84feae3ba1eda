package cli_test

import (
	"net"
	"testing"
)

func TestGatewayEgress(t *testing.T) {
	f := serve(t)
	f.on("GET gateway/egress", `{"listen":"10.0.1.2:3128","open":2,"callers":[{"name":"billing","from":["10.0.1.0/24"]}],"destinations":[{"id":"1","name":"api.partner.example","port":8443,"inside":["10.9.0.0/16"],"reason":"orders","owner":"person/ana","until":"2027-01-02T00:00:00Z"},
{"id":"2","name":"old.example","port":443,"reason":"x","owner":"person/ana","until":"2027-01-02T00:00:00Z","ended":"2026-01-03T00:00:00Z"}],
"moves":[{"caller":"service/billing","name":"api.partner.example","port":8443,"count":3,"sent":4096,"received":2048},{"caller":"","name":"","cause":"request","count":7}],"past":[{"service":"billing","reached":["1.1.1.1:443"]}]}`)
	f.must(0, []string{"gateway", "egress", "list"}, "10.0.1.2:3128", "2 connections", "billing comes from 10.0.1.0/24", "api.partner.example:8443", "10.9.0.0/16", "orders", "ended 3 Jan", "let out", "refused: request", "nobody known", "reached 1.1.1.1:443 past the way out")
	f.on("POST gateway/egress/destinations", `{"id":"1","name":"api.partner.example","port":443,"until":"2027-01-02T00:00:00Z"}`)
	f.must(0, []string{"gateway", "egress", "allow", "api.partner.example", "--reason", "orders", "--until", "2027-01-02"}, "may reach api.partner.example:443 until 2 Jan 2027")
	if !f.asked("POST", `"name":"api.partner.example"`, `"port":443`, `"reason":"orders"`, `"until":"2027-01-02T00:00:00Z"`) {
		t.Errorf("asked %q", f.seen)
	}
	f.must(2, []string{"gateway", "egress", "allow", "api.partner.example", "--reason", "orders", "--until", "soon"})
	f.on("DELETE gateway/egress/destinations/{id}", ``)
	f.must(0, []string{"gateway", "egress", "remove", "api.partner.example:8443"}, "off the list")
	if !f.asked("DELETE", "api.partner.example:8443") {
		t.Errorf("asked %q", f.seen)
	}
}

// What a machine reaches by itself is tried there and told, and is the command's own answer.
func TestGatewayEgressPast(t *testing.T) { // breaks: net.gateway-only
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	f := serve(t)
	f.on("POST gateway/egress/past", ``)
	f.must(1, []string{"gateway", "egress", "past", "--service", "billing", "--to", at}, "Reached past the way out: "+at)
	if !f.asked("POST", `"service":"billing"`, `"tried":1`, `"reached":["`+at+`"]`) {
		t.Errorf("asked %q", f.seen)
	}
	l.Close()
	f.must(0, []string{"gateway", "egress", "past", "--service", "billing", "--to", at}, "Of 1 places none was reached")
	if !f.asked("POST", `"reached":[]`) {
		t.Errorf("asked %q", f.seen)
	}
}

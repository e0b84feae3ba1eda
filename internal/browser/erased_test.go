package browser

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/secret"
)

var erasedOne string // looked at by one test, one page after the other

// erasedPerson is the id of somebody who was erased, once the page has their certificate.
func (h *house) erasedPerson(t *testing.T) string {
	t.Helper()
	if erasedOne != "" {
		return erasedOne
	}
	operator := actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	address := strings.ToLower(secret.RandomText(8).Reveal()) + "@gone.example"
	made, err := h.app.Identity().CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: address, Name: "Gil Orr", Password: secret.NewText(aPassword), TeamName: "Gone"})
	if err != nil {
		t.Fatal(err)
	}
	handle, err := h.app.Identity().Handle(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.app.Identity().Erase(t.Context(), operator, made.ID, handle); err != nil {
		t.Fatal(err)
	}
	c, last := h.client(t), ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Second) { // sixty an hour
		r, err := c.http.Get(h.origin + "/-/erased?person=" + made.ID)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		last = r.Status + " " + cut(string(b))
		if err == nil && r.StatusCode == http.StatusOK {
			erasedOne = made.ID
			return erasedOne
		}
	}
	t.Fatalf("the journal has no entry of the erasure: %s", last)
	return ""
}

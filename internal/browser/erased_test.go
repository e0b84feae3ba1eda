package browser

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/secret"
)

// erasedPerson is the id of somebody who was erased, once the page has their certificate.
func (h *house) erasedPerson(t *testing.T) string {
	t.Helper()
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
	c := h.client(t)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Second) { // sixty an hour
		r, err := c.http.Get(c.base + "/-/erased?person=" + made.ID)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return made.ID
		}
	}
	t.Fatal("the journal has no entry of the erasure")
	return ""
}

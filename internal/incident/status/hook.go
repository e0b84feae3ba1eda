package status

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/secret"
)

const challengeKind = "incident.challenge" // of the jobs that ask a webhook whether it wants to be told

// hookBody is what a webhook carries, after Standard Webhooks.
type hookBody struct {
	Type string    `json:"type"` // status.incident, status.maintenance, status.challenge
	At   time.Time `json:"timestamp"`
	Data hookData  `json:"data"`
}

type hookData struct {
	Says        string        `json:"says,omitempty"`
	Incident    *wireIncident `json:"incident,omitempty"`    // with its newest update
	Maintenance *wireIncident `json:"maintenance,omitempty"` // both in the shapes of the API
	Challenge   string        `json:"challenge,omitempty"`
	Secret      string        `json:"secret,omitempty"`
	Page        string        `json:"page_url"`
	Unsubscribe string        `json:"unsubscribe_url"` // one POST ends it
}

// hook is a webhook that is told, and the key that its messages are signed with.
type hook struct {
	address secret.Text
	key     secret.Bytes
}

// hookBox is what lies in the box of one.
type hookBox struct {
	URL    string `json:"url"`
	Secret []byte `json:"secret"`
}

func readHook(box secret.Bytes) (hook, error) {
	var b hookBox
	if err := json.Unmarshal(box.Reveal(), &b); err != nil {
		return hook{}, errors.New("read a webhook: its box holds something else")
	}
	return hook{secret.NewText(b.URL), secret.NewBytes(b.Secret)}, nil
}

// SubscribeHook asks an address by a signed message whether it wants to be told: it must answer
// with the challenge. Whoever asks here need not be who has the address, so the secret goes to
// the address alone. Errors: fault.Invalid (no address), fault.Limited (the network).
func (s *Service) SubscribeHook(ctx context.Context, who actor.Actor, address string, parts []string, network string) error {
	address = strings.TrimSpace(address)
	if want := s.Hooks.GoodURL(address); want != "" {
		return fault.New(fault.Invalid, "webhook_url", fault.Public{Problem: "No message can be sent to this address.", Expected: want, Fields: []fault.Field{{Name: "url", Code: "webhook_url", Problem: want}}})
	}
	token := secret.RandomText(24)
	return s.invite(ctx, who, asked{kind: byHook, named: address, parts: parts, network: network, token: token,
		box: func() ([]byte, error) { return json.Marshal(hookBox{address, secret.Random(32).Reveal()}) },
		job: func(id string) (jobs.Job, error) {
			return s.Jobs.Prepare(ctx, challengeKind, []byte(id+" "+token.Reveal()))
		}, queue: s.Jobs.Enqueue})
}

// challenge asks a webhook once. It confirms by its answer.
func (s *Service) challenge(ctx context.Context, payload secret.Bytes) error {
	id, text, _ := strings.Cut(string(payload.Reveal()), " ")
	token := secret.NewText(text)
	var found string
	var box []byte
	if err := ledger.One(ctx, s.DB, byToken, []any{&found, &box}, sum(token), us(s.Now()), byHook); errors.Is(err, fault.NotFound) || err == nil && found != id {
		return nil // confirmed by a try before, or asked for again
	} else if err != nil {
		return err
	}
	plain, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, id), box)
	if err != nil {
		return err
	}
	h, err := readHook(plain)
	if err != nil {
		return err
	}
	end, err := s.unsubscribeToken(ctx, id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(hookBody{"status.challenge", s.Now().UTC(), hookData{Challenge: text, Page: s.Origin + At, Unsubscribe: s.Origin + At + "/unsubscribe/" + end,
		Secret: "whsec_" + base64.StdEncoding.EncodeToString(h.key.Reveal())}})
	if err != nil {
		return fmt.Errorf("encode a challenge: %w", err)
	}
	r := s.Hooks.Call(ctx, notify.Call{ID: sum(token)[:32], URL: h.address, Key: h.key, Body: body})
	switch {
	case r.State == notify.Accepted && echoed(r.Body).Equal(token):
		return s.join(ctx, actor.System("incident-status"), id, byHook, box, token)
	case r.State == notify.Accepted || r.State == notify.Rejected:
		return fault.Newf(fault.Invalid, "no_echo", "A webhook does not want to be told (%s).", r.Code)
	}
	return fault.Newf(fault.Unavailable, "no_echo", "A webhook was not reached (%s).", r.Code)
}

// echoed is the challenge in an answer: alone, or as JSON under that name.
func echoed(body string) secret.Text {
	body = strings.TrimSpace(body)
	var v struct{ Challenge string }
	if strings.HasPrefix(body, "{") && json.Unmarshal([]byte(body), &v) == nil {
		return secret.NewText(v.Challenge)
	}
	return secret.NewText(body)
}

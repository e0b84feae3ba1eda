package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
)

// AcknowledgeAct is the action of the button that acknowledges an alarm.
const AcknowledgeAct = "acknowledge"

const (
	slackLives  = 5 * time.Minute // of a request, says Slack
	slackValue  = 2000            // letters of the value of a button
	mostPressed = 64 << 10        // bytes of a request
)

var slackUser = regexp.MustCompile(`^[A-Z0-9]{5,30}$`)

// Pressed is a button of a message that somebody pressed.
type Pressed struct {
	User  string // Slack's id of who did, such as U02ABCDEF
	Value string // of the button
}

// ReadSlack checks that a request is Slack's, by its signature (v0, HMAC-SHA-256 under the signing
// secret of the app, five minutes), and reads which button was pressed. Denied where it is not
// signed so, Invalid where it is something else.
func ReadSlack(key secret.Bytes, h http.Header, body []byte, now time.Time) (Pressed, error) { // clause: mon.notify
	at, err := strconv.ParseInt(h.Get("X-Slack-Request-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > slackLives {
		return Pressed{}, fault.New(fault.Denied, "slack_old", fault.Public{Problem: "The request has no time, or is too old.", Expected: "A request of the last five minutes."})
	}
	m := hmac.New(sha256.New, key.Reveal())
	fmt.Fprintf(m, "v0:%d:", at)
	m.Write(body)
	sig, err := hex.DecodeString(strings.TrimPrefix(h.Get("X-Slack-Signature"), "v0="))
	if err != nil || key.Len() == 0 || !hmac.Equal(sig, m.Sum(nil)) {
		return Pressed{}, fault.New(fault.Denied, "slack_signature", fault.Public{Problem: "The request is not signed by Slack.", Next: "Compare the signing secret of the app with watch.slack in writ.yaml."})
	}
	other := fault.New(fault.Invalid, "slack_request", fault.Public{Problem: "The request is not about a button of an alarm."})
	form, err := url.ParseQuery(string(body))
	if err != nil || len(body) > mostPressed {
		return Pressed{}, other
	}
	var in struct {
		Type string              `json:"type"`
		User struct{ ID string } `json:"user"`
		Acts []struct {
			ID    string `json:"action_id"`
			Value string `json:"value"`
		} `json:"actions"`
	}
	if json.Unmarshal([]byte(form.Get("payload")), &in) != nil || in.Type != "block_actions" || !slackUser.MatchString(in.User.ID) || len(in.Acts) != 1 || in.Acts[0].ID != AcknowledgeAct || len(in.Acts[0].Value) > slackValue {
		return Pressed{}, other
	}
	return Pressed{in.User.ID, in.Acts[0].Value}, nil
}

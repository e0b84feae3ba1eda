package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/secret"
)

// Further kinds of channel; each is one request.
const (
	PagerDuty = "pagerduty" // Events API, version 2
	Ntfy      = "ntfy"
	Gotify    = "gotify"
	Teams     = "teams" // a webhook of a workflow of Microsoft Teams
)

// What became of the alarm that an earlier message was about, for ways that keep alarms of
// their own.
const (
	Acknowledge = "acknowledge"
	Resolve     = "resolve"
)

const (
	pagerDutyURL = "https://events.pagerduty.com/v2/enqueue" // outside Europe
	mostSummary  = 1024                                      // letters, says PagerDuty
	mostSection  = 2900                                      // of 3,000 that Slack takes in one part
	mostNtfy     = 3800                                      // bytes of 4,096
	mostCard     = 20_000                                    // bytes of 28 KiB that Teams takes in all
)

var (
	routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	ntfyTopic  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	goodToken  = regexp.MustCompile(`^[!-~]{1,500}$`)
)

// readOpener reads what opens a channel of a kind, as it is typed: an address, and a token
// behind it where the kind has one. want = what is expected instead.
func (s *Service) readOpener(kind string, typed secret.Text) (o opener, want string) {
	words := strings.Fields(typed.Reveal())
	if y, ok := tail()[kind]; ok && len(words) > 0 {
		if o, ok = y.open(words); !ok {
			return opener{}, y.wants
		}
		return o, s.goodURL(o.URL)
	}
	if kind == PagerDuty && len(words) == 1 {
		words = []string{pagerDutyURL, words[0]}
	}
	if len(words) == 0 || len(words) > 2 {
		return o, "One address, and a token behind it where the channel has one."
	}
	o.URL = words[0]
	if len(words) == 2 {
		o.Secret = []byte(words[1])
	}
	if kind == Command {
		if s.Commands[o.URL] == "" || len(words) > 1 {
			return o, "The name of a command under watch.commands in writ.yaml."
		}
		return o, ""
	}
	if want = s.goodURL(o.URL); want != "" {
		return o, want
	}
	token := string(o.Secret)
	switch kind {
	case PagerDuty:
		if !routingKey.MatchString(token) {
			want = "The integration key of 32 letters and digits; before it another address of the Events API, such as https://events.eu.pagerduty.com/v2/enqueue."
		}
	case Gotify:
		if !goodToken.MatchString(token) {
			want = "The address of the server, and the token of an application behind it."
		}
	case Ntfy:
		if _, topic := topicOf(o.URL); !ntfyTopic.MatchString(topic) || token != "" && !goodToken.MatchString(token) {
			want = "The address of a topic, such as https://ntfy.sh/topic, and an access token behind it where the topic needs one."
		}
	default:
		if token != "" {
			want = "One address, and nothing behind it."
		}
	}
	return o, want
}

// topicOf is where messages to a topic of ntfy are posted, and its name.
func topicOf(address string) (root, topic string) {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	i := strings.LastIndexByte(path, '/')
	topic, u.Path, u.RawPath = path[i+1:], path[:max(i, 0)]+"/", ""
	return u.String(), topic
}

// call is the one request of a channel.
func (s *Service) call(c *channel, t *try) (Call, error) {
	out := Call{ID: t.id, URL: c.url}
	var v any
	switch c.Kind {
	case Slack:
		v = slackBody(t)
	case PagerDuty:
		v = s.pagerDuty(c, t)
	case Teams:
		v = teamsBody(t)
	case Ntfy:
		root, topic := topicOf(c.url.Reveal())
		out.URL, v = secret.NewText(root), ntfyBody(t, topic)
		if c.secret.Len() > 0 {
			out.head = map[string]secret.Text{"Authorization": secret.NewText("Bearer " + string(c.secret.Reveal()))}
		}
	case Gotify:
		out.URL, v = secret.NewText(strings.TrimSuffix(c.url.Reveal(), "/")+"/message"), gotifyBody(t)
		out.head = map[string]secret.Text{"X-Gotify-Key": secret.NewText(string(c.secret.Reveal()))}
	case Webhook, Command:
		v, out.Key = hookBody(t), c.secret
	default:
		y := tail()[c.Kind]
		if y.send == nil {
			return out, fmt.Errorf("there is no way of the kind %s", c.Kind)
		}
		v = y.send(c, t, &out)
	}
	if form, ok := v.(url.Values); ok {
		out.Body, out.form = []byte(form.Encode()), true
		return out, nil
	}
	var err error
	out.Body, err = json.Marshal(v)
	return out, err //nolint:wrapcheck // strings and times
}

// hookBody is what a webhook and a command get.
func hookBody(t *try) hook {
	d := hookData{Subject: t.Subject, Text: t.Text, Severity: t.Severity, About: t.About, Dedup: t.Thread, Again: t.again}
	if t.Link != nil {
		d.URL = t.Link.URL
	}
	return hook{Type: "writ." + t.Severity, At: t.made, Data: d}
}

// words are the text of a message, and that it may come twice.
func (t *try) words() string {
	if t.again {
		return repeats + "\n\n" + t.Text
	}
	return t.Text
}

// cut shortens a text to so many bytes, between letters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// slackBody is a text, for what speaks like Slack, and for Slack itself the same with a button.
func slackBody(t *try) any {
	text := slackText(t)
	if t.Link == nil {
		return map[string]string{"text": text}
	}
	type words struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type button struct {
		Type  string `json:"type"`
		Text  words  `json:"text"`
		URL   string `json:"url,omitempty"`
		Act   string `json:"action_id,omitempty"`
		Value string `json:"value,omitempty"`
	}
	type block struct {
		Type     string   `json:"type"`
		Text     *words   `json:"text,omitempty"`
		Elements []button `json:"elements,omitempty"`
	}
	said := *t
	said.Link = nil
	buttons := []button{{Type: "button", Text: words{"plain_text", cut(t.Link.Text, 75)}, URL: t.Link.URL}}
	if t.Ack != "" {
		buttons = append(buttons, button{Type: "button", Text: words{"plain_text", "I look at it"}, Act: AcknowledgeAct, Value: t.Ack})
	}
	return struct {
		Text   string  `json:"text"`
		Blocks []block `json:"blocks"`
	}{text, []block{{Type: "section", Text: &words{"mrkdwn", cut(slackText(&said), mostSection)}},
		{Type: "actions", Elements: buttons}}}
}

// pagerDutyEvent is one of the Events API, version 2.
type pagerDutyEvent struct {
	Key     string            `json:"routing_key"`
	Action  string            `json:"event_action"`
	Dedup   string            `json:"dedup_key"`
	Client  string            `json:"client,omitempty"`
	URL     string            `json:"client_url,omitempty"`
	Payload *pagerDutyPayload `json:"payload,omitempty"` // of a trigger
}

type pagerDutyPayload struct {
	Summary  string            `json:"summary"`
	Source   string            `json:"source"`
	Severity string            `json:"severity"`
	At       string            `json:"timestamp"`
	Details  map[string]string `json:"custom_details"`
}

// dedup is the same for all messages about one thing. A test is about nothing that lasts.
func (t *try) dedup() string {
	if t.About == "" || strings.HasPrefix(t.About, aboutTest) {
		return t.id
	}
	return cut(t.About, 250)
}

func (s *Service) pagerDuty(c *channel, t *try) pagerDutyEvent {
	e := pagerDutyEvent{Key: string(c.secret.Reveal()), Action: "trigger", Dedup: t.dedup()}
	if t.Act != "" {
		e.Action = t.Act
		return e
	}
	e.Client = "Writ of " + s.Company()
	if t.Link != nil {
		e.URL = t.Link.URL
	}
	severity := map[string]string{Page: "critical", Ticket: "warning"}[t.Severity]
	if severity == "" {
		severity = "info"
	}
	summary := []rune(t.Subject)
	e.Payload = &pagerDutyPayload{Summary: string(summary[:min(len(summary), mostSummary)]), Source: "writ", Severity: severity, At: t.made.UTC().Format(time.RFC3339), Details: map[string]string{"text": t.words()}}
	return e
}

func ntfyBody(t *try, topic string) any {
	v := struct {
		Topic    string `json:"topic"`
		Title    string `json:"title"`
		Message  string `json:"message"`
		Priority int    `json:"priority"`
		Click    string `json:"click,omitempty"`
	}{topic, cut(t.Subject, 250), cut(t.words(), mostNtfy-len(t.Subject[:min(len(t.Subject), 250)])), 2, ""}
	switch t.Severity {
	case Page:
		v.Priority = 5
	case Ticket:
		v.Priority = 3
	}
	if t.Link != nil {
		v.Click = t.Link.URL
	}
	return v
}

func gotifyBody(t *try) any {
	v := struct {
		Title    string         `json:"title"`
		Message  string         `json:"message"`
		Priority int            `json:"priority"`
		Extras   map[string]any `json:"extras,omitempty"`
	}{Title: t.Subject, Message: t.words(), Priority: 2}
	switch t.Severity {
	case Page:
		v.Priority = 9
	case Ticket:
		v.Priority = 5
	}
	if t.Link != nil {
		v.Extras = map[string]any{"client::notification": map[string]any{"click": map[string]string{"url": t.Link.URL}}}
	}
	return v
}

// teamsBody is an adaptive card. Its words are runs of text, which read no marks of their own.
func teamsBody(t *try) any {
	type m = map[string]any
	run := func(text string, bold bool) m {
		r := m{"type": "TextRun", "text": text}
		if bold {
			r["weight"] = "Bolder"
		}
		return m{"type": "RichTextBlock", "inlines": []m{r}}
	}
	card := m{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": []m{run(cut(t.Subject, 500), true), run(cut(t.words(), mostCard), false)}}
	if t.Link != nil {
		card["actions"] = []m{{"type": "Action.OpenUrl", "title": t.Link.Text, "url": t.Link.URL}}
	}
	return m{"type": "message", "attachments": []m{{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}
}

// direct sends a message by the one request of its channel.
func (s *Service) direct(ctx context.Context, c *channel, t *try) outcome {
	call, err := s.call(c, t)
	if err != nil || len(call.Body) > mostBody {
		return outcome{state: Rejected, code: "too_long"}
	}
	out := s.hand(ctx, call)
	if slices.Contains(follows, c.Kind) && out.state == Accepted && t.Act == "" && strings.HasPrefix(t.About, aboutTest) { // it calls nobody for longer than it takes
		over := *t
		over.Act = Resolve
		if call, err = s.call(c, &over); err == nil {
			_ = s.hand(ctx, call) // the test was taken, whatever comes of its end
		}
	}
	return out
}

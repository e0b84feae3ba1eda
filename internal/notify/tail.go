package notify

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"writ/internal/secret"
)

// The long tail of ways: each is one request that its service documents.
const (
	Telegram   = "telegram"
	Matrix     = "matrix"
	Signal     = "signal" // by a signal-cli-rest-api of one's own
	GoogleChat = "google-chat"
	Opsgenie   = "opsgenie"
	Pushover   = "pushover"
	Zulip      = "zulip"
)

// What they take at most, with room left for marks.
const (
	mostTelegram = 3800   // of 4,096 letters
	mostMatrix   = 30_000 // bytes of 65,536 of an event
	mostSignal   = 1900   // bytes: more becomes a file
	mostChat     = 30_000 // bytes of 32,000
	mostPushover = 1000   // letters of 1,024
	mostZulip    = 9500   // letters of 10,000
	mostAlert    = 130    // letters of the message of Opsgenie
)

// The addresses that need not be typed.
const (
	telegramURL = "https://api.telegram.org"
	opsgenieURL = "https://api.opsgenie.com/v2/alerts" // outside Europe
	pushoverURL = "https://api.pushover.net/1/messages.json"
)

// way is how a kind of the long tail is opened, and what is sent.
type way struct {
	home  string         // the address where none is typed; "" = one is
	wants string         // what is typed, in words
	good  *regexp.Regexp // what stands behind the address
	path  *regexp.Regexp // of the address; nil = any
	send  func(c *channel, t *try, out *Call) any
}

// tail is the table of them.
func tail() map[string]way {
	re := regexp.MustCompile
	return map[string]way{
		Telegram: {home: telegramURL, good: re(`^[0-9]{5,20}:[A-Za-z0-9_-]{30,100} (-?[0-9]{1,20}|@[A-Za-z0-9_]{5,64})$`), send: toTelegram,
			wants: "The token of a bot and the chat behind it, such as 123456:ABC… -1001234; before them the address of a server of your own, if it is not Telegram's."},
		Matrix: {path: re(`^/![^/\s]{1,254}$`), good: re(`^[!-~]{8,500}$`), send: toMatrix,
			wants: "The address of the server with the id of the room, and an access token behind it: https://matrix.example.com/!room:example.com TOKEN."},
		Signal: {path: re(`^/\+[0-9]{5,15}$`), good: re(`^(\+[0-9]{5,15}|group\.[A-Za-z0-9+/=_-]{10,100})(,(\+[0-9]{5,15}|group\.[A-Za-z0-9+/=_-]{10,100})){0,9}$`), send: toSignal,
			wants: "The address of a signal-cli-rest-api with the number that sends, and who gets it: https://signal.example.com/+491234567 +491234568,group.ABC…."},
		GoogleChat: {path: re(`^/v1/spaces/[^/]+/messages$`), good: re(`^$`), send: toGoogleChat,
			wants: "The address of a webhook of a space: https://chat.googleapis.com/v1/spaces/…/messages?key=…&token=…."},
		Opsgenie: {home: opsgenieURL, good: re(`^[A-Za-z0-9-]{16,100}$`), send: toOpsgenie,
			wants: "The key of an API integration; before it another address, such as https://api.eu.opsgenie.com/v2/alerts."},
		Pushover: {home: pushoverURL, good: re(`^[A-Za-z0-9]{30} [A-Za-z0-9]{30}$`), send: toPushover,
			wants: "The token of an application and the key of a user or group behind it, 30 letters and digits each."},
		Zulip: {path: re(`^/[^/]{1,180}/[^/]{1,180}$`), good: re(`^[^\s:@]+@[^\s:@]+:[A-Za-z0-9]{16,100}$`), send: toZulip,
			wants: "The address of the organisation with a channel and a topic, and the bot's address and key behind it: https://example.zulipchat.com/ops/alarms bot@example.zulipchat.com:KEY."},
	}
}

// open reads what opens a channel of the tail: an address where it is not the service's own, and
// what stands behind it.
func (y *way) open(words []string) (o opener, ok bool) {
	o.URL = y.home
	if strings.Contains(words[0], "://") {
		o.URL, words = words[0], words[1:]
	}
	o.Secret = []byte(strings.Join(words, " "))
	u, err := url.Parse(o.URL)
	return o, err == nil && o.URL != "" && u.Fragment == "" && (y.path == nil || y.path.MatchString(u.Path)) && y.good.Match(o.Secret)
}

// at is the address of a channel with another path, and without a query.
func (c *channel) at(parts ...string) secret.Text {
	u, err := url.Parse(c.url.Reveal())
	if err != nil { // it was read when the channel was made
		return secret.Text{}
	}
	u.Path, u.RawPath, u.RawQuery = "/", "", ""
	return secret.NewText(u.JoinPath(parts...).String())
}

// path is the path of a channel's address without its first slash, as it was meant.
func (c *channel) path() string {
	u, err := url.Parse(c.url.Reveal())
	if err != nil { // likewise
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

func (c *channel) behind() (first, second string) {
	first, second, _ = strings.Cut(string(c.secret.Reveal()), " ")
	return first, second
}

func authorized(kind, value string) map[string]secret.Text {
	return map[string]secret.Text{"Authorization": secret.NewText(kind + " " + value)}
}

// plainly is a message as a text without marks, at most so many bytes; its link stays whole.
func plainly(t *try, most int) string {
	link := ""
	if t.Link != nil {
		link = "\n\n" + t.Link.Text + ": " + t.Link.URL
	}
	return cut(t.Subject+"\n\n"+t.words(), most-len(link)) + link
}

func toTelegram(c *channel, t *try, out *Call) any {
	token, chat := c.behind()
	out.URL = c.at("bot"+token, "sendMessage")
	return map[string]any{"chat_id": chat, "text": plainly(t, mostTelegram), "link_preview_options": map[string]bool{"is_disabled": true}, "disable_notification": t.Severity == Notice}
}

// toMatrix puts an event under the id of the delivery: the same one twice is one message.
func toMatrix(c *channel, t *try, out *Call) any {
	token, _ := c.behind()
	out.URL, out.method, out.head = c.at("_matrix/client/v3/rooms", url.PathEscape(c.path()), "send/m.room.message", url.PathEscape(t.id)), http.MethodPut, authorized("Bearer", token)
	return map[string]string{"msgtype": "m.text", "body": plainly(t, mostMatrix)}
}

func toSignal(c *channel, t *try, out *Call) any {
	to, _ := c.behind()
	out.URL = c.at("v2/send")
	return map[string]any{"number": c.path(), "recipients": strings.Split(to, ","), "message": plainly(t, mostSignal)}
}

// chatEscape keeps a text from becoming a link, or a call of everybody: the service undoes no
// escapes, so the marks are others that look alike.
var chatEscape = strings.NewReplacer("<", "‹", ">", "›")

func toGoogleChat(_ *channel, t *try, _ *Call) any {
	return map[string]string{"text": cut(chatEscape.Replace(plainly(t, mostChat)), mostChat)}
}

// toOpsgenie opens an alert, or says of it what became of the alarm.
func toOpsgenie(c *channel, t *try, out *Call) any {
	key, _ := c.behind()
	out.head = authorized("GenieKey", key)
	if act := map[string]string{Acknowledge: "acknowledge", Resolve: "close"}[t.Act]; act != "" {
		out.URL = secret.NewText(strings.TrimSuffix(c.url.Reveal(), "/") + "/" + url.PathEscape(t.dedup()) + "/" + act + "?identifierType=alias")
		return map[string]string{"source": "writ"}
	}
	v := map[string]any{"message": short(t.Subject, mostAlert), "alias": t.dedup(), "description": plainly(t, 14_000), "source": "writ", "priority": "P5"}
	if p := map[string]string{Page: "P1", Ticket: "P3"}[t.Severity]; p != "" {
		v["priority"] = p
	}
	return v
}

func toPushover(c *channel, t *try, _ *Call) any {
	token, user := c.behind()
	v := map[string]any{"token": token, "user": user, "title": short(t.Subject, 240), "message": short(t.words(), mostPushover), "priority": 0}
	switch t.Severity {
	case Page:
		v["priority"] = 1 // in their quiet hours too
	case Notice:
		v["priority"] = -1
	}
	if t.Link != nil {
		v["url"], v["url_title"] = t.Link.URL, short(t.Link.Text, 100)
	}
	return v
}

// toZulip sends a form; the words stand in a block, in which nothing is a mark or calls anybody.
func toZulip(c *channel, t *try, out *Call) any {
	stream, topic, _ := strings.Cut(c.path(), "/")
	who, _ := c.behind()
	out.URL, out.head = c.at("api/v1/messages"), authorized("Basic", base64.StdEncoding.EncodeToString([]byte(who)))
	words := *t
	words.Link = nil
	content := "```text\n" + strings.ReplaceAll(strings.ReplaceAll(plainly(&words, mostZulip), "`", "'"), "~", "-") + "\n```"
	if t.Link != nil {
		content += "\n" + t.Link.URL
	}
	return url.Values{"type": {"stream"}, "to": {stream}, "topic": {topic}, "content": {content}}
}

// short cuts a text to so many letters.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

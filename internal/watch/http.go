package watch

import (
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/web"
)

// Routes are the doors of watch.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/watch"
	on := func(pattern string, tokens bool, h web.Handler, d web.Doc) web.Route {
		d.Tag = "watch"
		return web.Route{Pattern: pattern, Who: web.Staff, Tokens: tokens, Limit: 16 << 10, Handle: h, Doc: d}
	}
	bundle := on("GET "+v1+"/alarms/{id}/bundle", true, s.getBundle, web.Doc{Summary: "An alarm with its evidence, as a zip that writ verify checks without this server", Errors: []string{"alarm_unknown", "alarm_state"}})
	bundle.Time = -time.Second // as long as it takes
	return append(slices.Concat(s.alertmanager(), s.slackRoutes(), s.ownRoutes(on), s.gaugeRoutes(on)), []web.Route{
		bundle,
		on("GET "+v1+"/alarms", true, s.getAlarms, web.Doc{Summary: "Alarms: those that fire first, then the newest", Query: []string{"open", "rule"}, Out: alarmsOut{}}),
		on("GET "+v1+"/alarms/{id}", true, s.getAlarm, web.Doc{Summary: "One alarm, with what it rests on and whom it reached", Out: detailOut{}, Errors: []string{"alarm_unknown"}}),
		on("POST "+v1+"/alarms/{id}/acknowledge", true, s.postAcknowledge, web.Doc{Summary: "Say that you look at it", In: noteIn{}, Errors: []string{"alarm_unknown", "alarm_state", "watch_note"}}),
		on("POST "+v1+"/alarms/{id}/close", true, s.postClose, web.Doc{Summary: "Say what it was: true, benign, false or test", In: verdictIn{}, Errors: []string{"alarm_unknown", "alarm_state", "watch_verdict", "watch_note"}}),
		on("GET "+v1+"/routes", true, s.getRoutes, web.Doc{Summary: "Routes of the policy: which alarms go to whom, and the groups that they name", Out: routesOut{}}),
		on("GET "+v1+"/routes/test", true, s.getRouteTest, web.Doc{Summary: "Which route takes such an alarm: who would be told now at each level, by which channels, and when again", Query: []string{"alarm", "rule", "clause", "component", "severity"}, Out: takenOut{}, Errors: []string{"alarm_unknown", "watch_route", "watch_alarm", "watch_rule", "watch_clause", "watch_component", "watch_severity"}}),
		on("GET "+v1+"/rules", true, s.getRules, web.Doc{Summary: "Rules, and how they did", Out: rulesOut{}}),
		on("POST "+v1+"/rules/{id}/fire", true, s.postFire, web.Doc{Summary: "Fire a rule as a test, which goes to people", Out: firedOut{}, Status: http.StatusCreated, Errors: []string{"rule_unknown", "alarm_state"}}),
		on("GET "+v1+"/baselines", true, s.getBaselines, web.Doc{Summary: "What is learned as usual, what is unusual first", Out: baselinesOut{}}),
		on("POST "+v1+"/baselines/accept", true, s.postAccept, web.Doc{Summary: "Say that what a series does now is the new normal", In: acceptIn{}, Errors: []string{"series_unknown", "watch_reason"}}),
		on("GET "+v1+"/silences", true, s.getSilences, web.Doc{Summary: "Silences, and how much they kept quiet", Out: silencesOut{}}),
		on("POST "+v1+"/silences", true, s.postSilence, web.Doc{Summary: "Keep alarms from being told for a while", In: silenceIn{}, Out: silenceWire{}, Status: http.StatusCreated, Errors: []string{"watch_matcher", "watch_reason", "watch_ends", "watch_trust", "watch_link", "silences_full"}}),
		on("GET "+v1+"/silences/{id}", true, s.getSilence, web.Doc{Summary: "One silence, its versions, and the alarms it kept quiet", Out: keptOut{}, Errors: []string{"silence_unknown"}}),
		on("POST "+v1+"/silences/{id}/approve", false, s.postApproveSilence, web.Doc{Summary: "Approve a wide or a long silence that somebody else made", Errors: []string{"silence_unknown", "silence_state", "own_silence", "person_needed"}}),
		on("DELETE "+v1+"/silences/{id}", true, s.deleteSilence, web.Doc{Summary: "End a silence", Errors: []string{"silence_unknown"}}),
		on("GET "+v1+"/mutes", true, s.getMutes, web.Doc{Summary: "Times of the week in which tickets are not told", Out: mutesOut{}}),
		on("PUT "+v1+"/mutes/{name}", false, s.putMute, web.Doc{Summary: "Set a time of the week in which tickets are not told; pages always are", In: muteIn{}, Out: muteWire{}, Errors: []string{"watch_name", "watch_zone", "watch_days", "watch_from", "watch_to", "watch_reason", "watch_wide", "mutes_full"}}),
		on("DELETE "+v1+"/mutes/{name}", false, s.deleteMute, web.Doc{Summary: "Remove such a time", Errors: []string{"mute_unknown"}}),
		on("GET "+v1+"/channels", true, s.getChannels, web.Doc{Summary: "Ways by which people are told, without their addresses", Out: channelsOut{}}),
		on("POST "+v1+"/channels", false, s.postChannel, web.Doc{Summary: "Add a way; the secret that signs a webhook comes back once", In: channelIn{}, Out: channelOut{}, Status: http.StatusCreated, Errors: []string{"channel_name", "channel_kind", "channel_url", "channel_exists", "channels_full"}}),
		on("DELETE "+v1+"/channels/{name}", false, s.deleteChannel, web.Doc{Summary: "Remove a way", Errors: []string{"channel_unknown"}}),
		on("POST "+v1+"/channels/{name}/test", true, s.postTest, web.Doc{Summary: "Send a test message", Out: testOut{}, Status: http.StatusAccepted, Errors: []string{"channel_unknown", "channel_tested", "nobody_told"}}),
		on("GET "+v1+"/deliveries", true, s.getDeliveries, web.Doc{Summary: "What was sent, and what came back", Query: []string{"alarm", "state"}, Out: deliveriesOut{}}),
		on("GET "+v1+"/deliveries/{id}", true, s.getDelivery, web.Doc{Summary: "One delivery with its tries", Out: deliveryWire{}, Errors: []string{"delivery_unknown"}}),
		on("GET "+v1+"/series", true, s.getSeries, web.Doc{Summary: "Measurements over a span: points, and the groups of a dimension", Query: []string{"meter", "by", "label", "from", "until", "step"}, Out: seriesOut{}, Errors: []string{"meter_unknown", "series_step", "series_dimension", "series_span", "watch_from", "watch_until", "watch_step", "watch_by"}}),
		on("GET "+v1+"/meters", true, s.getMeters, web.Doc{Summary: "What is measured, and along which dimensions", Out: metersOut{}}),
		{Pattern: "GET /-/metrics", Who: web.Staff, Tokens: true, Handle: s.getMetrics},
		{Pattern: "GET /-/watch/acknowledge/{token}", Who: web.Anyone, Handle: s.showLink},
		{Pattern: "POST /-/watch/acknowledge/{token}", Who: web.Anyone, Limit: 4 << 10, Handle: s.postLink},
	}...)
}

type (
	alarmWire struct {
		ID       string            `json:"id"`
		Rule     string            `json:"rule"`
		Title    string            `json:"title"`
		Labels   map[string]string `json:"labels"`
		Severity string            `json:"severity"`
		Clause   string            `json:"clause"`
		State    string            `json:"state"`
		Test     bool              `json:"test,omitzero"`
		Silenced bool              `json:"silenced,omitzero"`
		Hidden   string            `json:"inhibited_by,omitzero"`
		Flapping bool              `json:"flapping,omitzero"`
		Fired    time.Time         `json:"fired"`
		Seen     time.Time         `json:"seen"`
		Told     time.Time         `json:"told,omitzero"`
		Level    int64             `json:"level"` // how often it was told
		AckedBy  string            `json:"acknowledged_by,omitzero"`
		AckUntil time.Time         `json:"acknowledged_until,omitzero"`
		Cleared  time.Time         `json:"cleared,omitzero"`
		Closed   time.Time         `json:"closed,omitzero"`
		Verdict  string            `json:"verdict,omitzero"`
		Flaps    int64             `json:"flaps,omitzero"`
		Count    int64             `json:"count"`
		Value    string            `json:"value"`
	}
	alarmsOut struct {
		Alarms []alarmWire `json:"alarms"`
	}
	stepWire struct {
		At    time.Time `json:"at"`
		What  string    `json:"what"`
		Who   string    `json:"who"`
		Entry string    `json:"entry"`
	}
	detailOut struct {
		Alarm      alarmWire      `json:"alarm"`
		Says       string         `json:"says"`
		Next       string         `json:"next"`
		Evidence   []int64        `json:"evidence"` // numbers of entries
		Steps      []stepWire     `json:"steps"`
		Deliveries []deliveryWire `json:"deliveries"`
	}
	noteIn struct {
		Note string `json:"note"`
	}
	verdictIn struct {
		Verdict string `json:"verdict"`
		Note    string `json:"note,omitzero"`
	}
	ruleWire struct {
		ID        string      `json:"id"`
		Part      string      `json:"part"`
		Severity  string      `json:"severity"`
		Clause    string      `json:"clause"`
		Title     string      `json:"title"`
		Says      string      `json:"says"`
		Next      string      `json:"next"`
		Fired     time.Time   `json:"fired,omitzero"`
		Tried     time.Time   `json:"tried,omitzero"`
		Open      int64       `json:"open"`
		Verdicts  int64       `json:"verdicts"`
		Precision float64     `json:"precision"`
		Bounds    []limitWire `json:"bounds,omitempty"`
	}
	limitWire struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		From    string `json:"from"` // policy, shipped
		Shipped string `json:"shipped"`
		Least   string `json:"least"`
		Most    string `json:"most"`
	}
	rulesOut struct {
		Rules []ruleWire `json:"rules"`
	}
	firedOut struct {
		Alarm string `json:"alarm"`
	}
	silenceWire struct {
		ID       string    `json:"id"`
		Matchers []string  `json:"matchers"`
		Made     time.Time `json:"made"`
		MadeBy   string    `json:"made_by"`
		Ends     time.Time `json:"ends"`
		Hid      int64     `json:"hid"`
		Version  int64     `json:"version"`
		Needs    string    `json:"needs,omitzero"` // a second person's approval, as it is wide or long
		Waits    bool      `json:"waits,omitzero"`
		Approved string    `json:"approved_by,omitzero"`
		Link     string    `json:"link,omitzero"`
	}
	keptOut struct {
		Silence  silenceWire   `json:"silence"`
		Versions []silenceWire `json:"versions"`
		Alarms   []alarmWire   `json:"alarms"` // that it kept quiet
	}
	silencesOut struct {
		Silences []silenceWire `json:"silences"`
	}
	silenceIn struct {
		Matchers []string `json:"matchers"`
		Reason   string   `json:"reason"`
		Minutes  int64    `json:"minutes,omitzero"` // 0 = two hours
		Link     string   `json:"link,omitzero"`    // clause/mon.load or incident/I-3 that it belongs to
	}
	channelWire struct {
		Name     string    `json:"name"`
		Kind     string    `json:"kind"`
		Made     time.Time `json:"made,omitzero"`
		MadeBy   string    `json:"made_by,omitzero"`
		Tested   time.Time `json:"tested,omitzero"`
		Accepted time.Time `json:"accepted,omitzero"`
	}
	channelsOut struct {
		Channels []channelWire `json:"channels"`
	}
	channelIn struct {
		Name string      `json:"name"`
		Kind string      `json:"kind"` // webhook, slack, teams, pagerduty, ntfy, gotify, telegram, matrix, signal, google-chat, opsgenie, pushover, zulip, command
		URL  secret.Text `json:"url,omitzero"`
	}
	channelOut struct {
		Channel channelWire `json:"channel"`
		Secret  string      `json:"secret,omitzero"` // once
	}
	testOut struct {
		Delivery string `json:"delivery"`
	}
	attemptWire struct {
		N        int64     `json:"n"`
		At       time.Time `json:"at"`
		TookMS   int64     `json:"took_ms"`
		Peer     string    `json:"peer,omitzero"`
		Outcome  string    `json:"outcome"`
		Code     string    `json:"code"`
		Enhanced string    `json:"enhanced,omitzero"`
		Text     string    `json:"text,omitzero"`
		TLS      string    `json:"tls,omitzero"` // version of the connection
	}
	deliveryWire struct {
		ID       string        `json:"id"`
		Channel  string        `json:"channel"`
		About    string        `json:"about"`
		Severity string        `json:"severity"`
		State    string        `json:"state"`
		Tries    int64         `json:"tries"`
		Made     time.Time     `json:"made"`
		Due      time.Time     `json:"due,omitzero"`
		Ended    time.Time     `json:"ended,omitzero"`
		Code     string        `json:"code,omitzero"`
		Attempts []attemptWire `json:"attempts,omitempty"`
	}
	deliveriesOut struct {
		Deliveries []deliveryWire `json:"deliveries"`
	}
)

func (s *Service) wire(a *Alarm) alarmWire {
	return alarmWire{a.ID, a.Rule, s.title(a), a.Labels, a.Severity, a.Clause, a.State, a.Test, a.Silenced, a.Inhibited, a.Flapping(), a.Fired, a.Seen, a.Told, a.Level, a.AckedBy, a.AckedUntil, a.Cleared, a.Closed, a.Verdict, a.Flaps, a.Count, a.Value}
}

func wireDelivery(d *notify.Delivery) deliveryWire {
	out := deliveryWire{d.ID, d.Channel, d.About, d.Severity, d.State, d.Tries, d.Made, time.Time{}, d.Ended, d.Code, nil}
	if d.State == notify.Deferred {
		out.Due = d.Due
	}
	for _, a := range d.Attempts {
		out.Attempts = append(out.Attempts, attemptWire{a.N, a.At, a.Took.Milliseconds(), a.Peer, a.Outcome, a.Code, a.Enhanced, a.Text, a.TLS})
	}
	return out
}

func (s *Service) getAlarms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	as, err := s.Alarms(r.Context(), who, Query{Open: q.Get("open") == "1", Rule: q.Get("rule")})
	if err != nil {
		return err
	}
	out := alarmsOut{Alarms: []alarmWire{}}
	for i := range as {
		out.Alarms = append(out.Alarms, s.wire(&as[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getAlarm(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := s.Alarm(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := detailOut{Alarm: s.wire(&d.Alarm), Evidence: append([]int64{}, d.Evidence...), Steps: []stepWire{}, Deliveries: []deliveryWire{}}
	if rule := s.ruleOf(d.Rule); rule != nil {
		out.Says, out.Next = rule.Says, rule.Next
	}
	for _, e := range d.Steps {
		out.Steps = append(out.Steps, stepWire(e))
	}
	for i := range d.Deliveries {
		out.Deliveries = append(out.Deliveries, wireDelivery(&d.Deliveries[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getBundle(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return s.Bundle(r.Context(), who, r.PathValue("id"), web.Zip(w, "alarm-"+r.PathValue("id")+".zip"))
}

func (s *Service) postAcknowledge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[noteIn](r)
	if err != nil {
		return err
	}
	if err := s.Acknowledge(r.Context(), who, r.PathValue("id"), in.Note); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postClose(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[verdictIn](r)
	if err != nil {
		return err
	}
	if err := s.Close(r.Context(), who, r.PathValue("id"), in.Verdict, in.Note); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) getRules(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.RulesFor(r.Context(), who)
	if err != nil {
		return err
	}
	out := rulesOut{Rules: []ruleWire{}}
	for _, st := range all {
		x := ruleWire{st.ID, st.Part, st.Severity, st.Clause, st.Title, st.Says, st.Next, st.Fired, st.Tried, st.Open, st.Verdicts, st.Precision, nil}
		for _, b := range st.Limits() {
			from := "shipped"
			if b.Policy {
				from = "policy"
			}
			x.Bounds = append(x.Bounds, limitWire{b.Name, b.Value, from, b.Shipped, b.Least, b.Most})
		}
		out.Rules = append(out.Rules, x)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postFire(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id, err := s.Fire(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, firedOut{id})
}

func wireSilence(x *Silence) silenceWire {
	out := silenceWire{x.ID, []string{}, x.Made, x.MadeBy, x.Ends, x.Hid, x.Version, x.Needs, x.Waits(), x.ApprovedBy, x.Link}
	for _, m := range x.Matchers {
		out.Matchers = append(out.Matchers, m.String())
	}
	return out
}

func (s *Service) getSilences(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Silences(r.Context(), who)
	if err != nil {
		return err
	}
	out := silencesOut{Silences: []silenceWire{}}
	for i := range all {
		out.Silences = append(out.Silences, wireSilence(&all[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	k, err := s.SilenceOf(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := keptOut{Silence: wireSilence(&k.Silence), Versions: []silenceWire{}, Alarms: []alarmWire{}}
	for i := range k.Versions {
		out.Versions = append(out.Versions, wireSilence(&k.Versions[i]))
	}
	for i := range k.Alarms {
		out.Alarms = append(out.Alarms, s.wire(&k.Alarms[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postApproveSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.ApproveSilence(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[silenceIn](r)
	if err != nil {
		return err
	}
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/silences"); err != nil { // before what is wrong with it
		return err
	}
	ms, ends, err := s.ReadSilence(in.Matchers, in.Minutes)
	if err != nil {
		return err
	}
	x, err := s.MakeSilence(r.Context(), who, Wish{Matchers: ms, Reason: in.Reason, Ends: ends, Link: in.Link})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireSilence(&x))
}

// ReadSilence reads matchers as people write them, and minutes from now; 0 = the usual time.
func (s *Service) ReadSilence(matchers []string, minutes int64) (ms []Matcher, ends time.Time, err error) {
	for _, text := range matchers {
		m, err := ParseMatcher(text)
		if err != nil {
			return nil, time.Time{}, err
		}
		ms = append(ms, m)
	}
	if minutes < 0 || minutes > 60*24*365 {
		return nil, time.Time{}, bad("ends", "The time of the silence is not good.", "1 to 43200 minutes.")
	}
	if minutes > 0 {
		ends = s.Now().Add(time.Duration(minutes) * time.Minute)
	}
	return ms, ends, nil
}

func (s *Service) deleteSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndSilence(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) getChannels(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	cs, err := s.Channels(r.Context(), who)
	if err != nil {
		return err
	}
	out := channelsOut{Channels: []channelWire{}}
	for _, c := range cs {
		out.Channels = append(out.Channels, channelWire{c.Name, c.Kind, c.Made, c.MadeBy, c.Tested, c.Accepted})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postChannel(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[channelIn](r)
	if err != nil {
		return err
	}
	c, key, err := s.AddChannel(r.Context(), who, in.Name, in.Kind, in.URL)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, channelOut{channelWire{c.Name, c.Kind, c.Made, c.MadeBy, c.Tested, c.Accepted}, key.Reveal()})
}

func (s *Service) deleteChannel(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveChannel(r.Context(), who, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postTest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id, err := s.TestChannel(r.Context(), who, r.PathValue("name"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, testOut{id})
}

func (s *Service) getDeliveries(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := notify.Query{State: r.URL.Query().Get("state")}
	if id := r.URL.Query().Get("alarm"); id != "" {
		q.About = "alarm/" + id
	}
	ds, err := s.DeliveriesFor(r.Context(), who, q)
	if err != nil {
		return err
	}
	out := deliveriesOut{Deliveries: []deliveryWire{}}
	for i := range ds {
		out.Deliveries = append(out.Deliveries, wireDelivery(&ds[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getDelivery(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchRead, "watch/deliveries"); err != nil {
		return err
	}
	d, err := s.Notify.Delivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireDelivery(&d))
}

// linkPage is the page behind a letter: a button first, so that a program that follows links
// acknowledges nothing.
type linkPage struct {
	Says []string
	Form *web.Form
}

func (s *Service) showLink(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	as, err := s.Linked(r.Context(), secret.NewText(r.PathValue("token")))
	if err != nil {
		return err
	}
	p := linkPage{}
	going := 0
	for i := range as[:min(len(as), tops)] {
		p.Says = append(p.Says, s.about(&as[i]))
		if as[i].State == Firing {
			going++
		}
	}
	lead := "It has ended, or somebody looks at it already."
	if going > 0 {
		lead = "Say that you look at it, and nobody else is called for four hours."
		p.Form = &web.Form{Action: r.URL.Path, Act: "I look at it"}
	}
	return s.pages.Render(w, r, http.StatusOK, "acknowledge", web.View{Title: s.title(&as[0]), Frame: web.Plain, Lead: lead, Data: p})
}

func (s *Service) postLink(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if err := s.AcknowledgeByLink(r.Context(), web.StrangerOf(r), secret.NewText(r.PathValue("token"))); err != nil {
		return err
	}
	return s.pages.Render(w, r, http.StatusOK, "acknowledge", web.View{Title: "You look at it", Frame: web.Plain, Lead: "Nobody else is called for four hours. When you know what it was, say so in the console."})
}

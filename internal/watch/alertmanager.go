package watch

import (
	"context"
	"encoding/base32"
	"encoding/hex"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/web"
)

// The API of Alertmanager, version 2, so that amtool, Prometheus and Grafana work unchanged.
// Alerts that are pushed become alarms of one rule, with the labels they bring; they end five
// minutes after they were last sent, or when they say so. Who made a silence is whoever's token
// it is; createdBy is kept as a remark in its reason.
func (s *Service) alertmanager() []web.Route {
	on := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Staff, Tokens: true, Limit: 1 << 20, Handle: h}
	}
	return []web.Route{
		on("GET /-/alertmanager/api/v2/status", s.amStatus),
		on("GET /-/alertmanager/api/v2/receivers", s.amReceivers),
		on("GET /-/alertmanager/api/v2/alerts", s.amAlerts),
		on("POST /-/alertmanager/api/v2/alerts", s.amPush),
		on("GET /-/alertmanager/api/v2/alerts/groups", s.amGroups),
		on("GET /-/alertmanager/api/v2/silences", s.amSilences),
		on("POST /-/alertmanager/api/v2/silences", s.amSilence),
		on("GET /-/alertmanager/api/v2/silence/{id}", s.amOneSilence),
		on("DELETE /-/alertmanager/api/v2/silence/{id}", s.amEndSilence),
	}
}

type (
	amName struct {
		Name string `json:"name"`
	}
	amState struct {
		State       string   `json:"state"` // active, suppressed
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
		MutedBy     []string `json:"mutedBy"`
	}
	amAlert struct {
		Annotations map[string]string `json:"annotations"`
		EndsAt      string            `json:"endsAt"`
		Fingerprint string            `json:"fingerprint"`
		Receivers   []amName          `json:"receivers"`
		StartsAt    string            `json:"startsAt"`
		Status      amState           `json:"status"`
		UpdatedAt   string            `json:"updatedAt"`
		Generator   string            `json:"generatorURL,omitempty"`
		Labels      map[string]string `json:"labels"`
	}
	amGroup struct {
		Labels   map[string]string `json:"labels"`
		Receiver amName            `json:"receiver"`
		Alerts   []amAlert         `json:"alerts"`
	}
	amPushed struct {
		Annotations map[string]string `json:"annotations,omitempty"`
		StartsAt    time.Time         `json:"startsAt,omitzero"`
		EndsAt      time.Time         `json:"endsAt,omitzero"`
		Generator   string            `json:"generatorURL,omitempty"`
		Labels      map[string]string `json:"labels"`
	}
	amMatcher struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		IsRegex bool   `json:"isRegex"`
		IsEqual *bool  `json:"isEqual,omitempty"`
	}
	amWish struct {
		ID          string            `json:"id,omitempty"`
		Matchers    []amMatcher       `json:"matchers"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt"`
		CreatedBy   string            `json:"createdBy"`
		Comment     string            `json:"comment"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	amKept struct {
		ID        string            `json:"id"`
		Status    map[string]string `json:"status"`
		UpdatedAt string            `json:"updatedAt"`
		Comment   string            `json:"comment"`
		CreatedBy string            `json:"createdBy"`
		StartsAt  string            `json:"startsAt"`
		EndsAt    string            `json:"endsAt"`
		Matchers  []amMatcher       `json:"matchers"`
	}
)

func amTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

var idText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// uuidOf writes an id of ours, 16 bytes, as a UUID; idOf reads it back.
func uuidOf(id string) string {
	b, err := idText.DecodeString(id)
	if err != nil || len(b) != 16 {
		return id
	}
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func idOf(uuid string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(b) != 16 {
		return uuid
	}
	return idText.EncodeToString(b)
}

// amRefused answers as that API does: 400 with a text, where something is wrong with what was sent.
func amRefused(w http.ResponseWriter, err error) error {
	if k := fault.KindOf(err); k != fault.Invalid && k != fault.Malformed {
		return err
	}
	_, p := fault.PublicOf(err)
	return web.WriteJSON(w, http.StatusBadRequest, strings.TrimSpace(p.Problem+" "+p.Expected))
}

func (s *Service) amStatus(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchRead, "watch/status"); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, map[string]any{
		"cluster":     map[string]any{"status": "disabled", "peers": []string{}},
		"versionInfo": map[string]string{"branch": "writ", "buildDate": "", "buildUser": "", "goVersion": runtime.Version(), "revision": "", "version": "0.34.2"},
		"config":      map[string]string{"original": "# Alarms go to engineers and owners by every channel: writ watch channel list\n"},
		"uptime":      amTime(s.begun)})
}

func (s *Service) amReceivers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rs, err := s.receivers(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rs)
}

func (s *Service) receivers(ctx context.Context, who actor.Actor) ([]amName, error) {
	cs, err := s.Channels(ctx, who)
	rs := []amName{}
	for _, c := range cs {
		rs = append(rs, amName{c.Name})
	}
	return rs, err
}

// amOpen are the alarms that go on and pass the filters of an address.
func (s *Service) amOpen(r *http.Request, who actor.Actor) ([]amAlert, error) {
	q := r.URL.Query()
	var filters []Matcher
	for _, f := range q["filter"] {
		m, err := ParseMatcher(f)
		if err != nil {
			return nil, err
		}
		filters = append(filters, m)
	}
	as, err := s.Alarms(r.Context(), who, Query{Open: true, Limit: 500})
	if err != nil {
		return nil, err
	}
	rs, err := s.receivers(r.Context(), who)
	if err != nil {
		return nil, err
	}
	hides, err := s.inForce(r.Context())
	if err != nil {
		return nil, err
	}
	hiders, err := s.openHiders(r.Context())
	if err != nil {
		return nil, err
	}
	mutes, err := s.mutes(r.Context())
	if err != nil {
		return nil, err
	}
	out := []amAlert{}
	for i := range as {
		a := &as[i]
		st := amState{State: "active", SilencedBy: []string{}, InhibitedBy: []string{}, MutedBy: []string{}}
		for _, x := range hides {
			if x.hides(a) {
				st.State, st.SilencedBy = "suppressed", append(st.SilencedBy, uuidOf(x.ID))
			}
		}
		silenced := st.State != "active"
		if by := s.inhibitor(a, hiders); by != "" {
			st.State, st.InhibitedBy = "suppressed", append(st.InhibitedBy, by)
		}
		if names, _ := mutedBy(mutes, a, s.Now()); len(names) > 0 {
			st.State, st.MutedBy = "suppressed", names
		}
		if q.Get("active") == "false" && st.State == "active" || q.Get("silenced") == "false" && silenced || q.Get("inhibited") == "false" && len(st.InhibitedBy) > 0 || q.Get("muted") == "false" && len(st.MutedBy) > 0 ||
			slices.ContainsFunc(filters, func(m Matcher) bool { return !m.matches(a.Labels) }) {
			continue
		}
		ends := a.Seen.Add(rejoins)
		if a.ends > 0 {
			ends = at(a.ends)
		}
		notes := map[string]string{"summary": s.title(a), "seen": a.Value}
		if rule := s.ruleOf(a.Rule); rule != nil && a.Rule != pushedRule {
			notes["description"], notes["runbook"] = rule.Says, rule.Next
		}
		out = append(out, amAlert{Annotations: notes, EndsAt: amTime(ends), Fingerprint: a.Fingerprint[:16], Receivers: rs, StartsAt: amTime(a.Fired), Status: st, UpdatedAt: amTime(a.Seen), Generator: s.Origin + atAlarm + a.ID, Labels: a.Labels})
	}
	return out, nil
}

func (s *Service) amAlerts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	as, err := s.amOpen(r, who)
	if err != nil {
		return amRefused(w, err)
	}
	return web.WriteJSON(w, http.StatusOK, as)
}

func (s *Service) amGroups(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	as, err := s.amOpen(r, who)
	if err != nil {
		return amRefused(w, err)
	}
	out := []amGroup{}
	for _, a := range as {
		i := slices.IndexFunc(out, func(g amGroup) bool {
			return g.Labels["clause"] == a.Labels["clause"] && g.Labels["part"] == a.Labels["part"]
		})
		if i < 0 {
			i = len(out)
			out = append(out, amGroup{Labels: map[string]string{"clause": a.Labels["clause"], "part": a.Labels["part"]}, Receiver: amName{notify.Mail}})
		}
		out[i].Alerts = append(out[i].Alerts, a)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

var goodLabel = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)

const (
	pushedRule = "pushed-alert"
	mostPushed = 500
	mostLabels = 30
	mostLabel  = 512
)

// check gives a pushed alert its bounds. Two labels are ours to set.
func (p *amPushed) check() error {
	if len(p.Labels) == 0 || len(p.Labels) > mostLabels || p.Labels["alertname"] == "" {
		return bad("labels", "An alert is not good.", "1 to 30 labels, alertname among them.")
	}
	for k, v := range p.Labels {
		if !goodLabel.MatchString(k) || len(v) > mostLabel || strings.ContainsAny(v, "\r\n\x00") {
			return bad("labels", "A label is not good.", "A name of letters, digits and _, and a value of one line, at most 512 bytes.")
		}
	}
	return nil
}

// amPush takes alerts of others.
func (s *Service) amPush(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/alerts"); err != nil {
		return err
	}
	in, err := web.ReadJSON[[]amPushed](r)
	if err == nil && len(in) > mostPushed {
		err = bad("alerts", "These are too many alerts.", "At most 500 at once.")
	}
	for i := range in {
		if err == nil {
			err = in[i].check()
		}
	}
	if err != nil {
		return amRefused(w, err)
	}
	for part := range slices.Chunk(in, mostFacts) {
		if err := s.quietly(r.Context(), who, func(tx *ledger.Tx) (evs []ledger.Event, err error) {
			for i := range part {
				more, err := s.pushed(r.Context(), tx, &part[i])
				if err != nil {
					return nil, err
				}
				evs = append(evs, more...)
			}
			return evs, nil
		}); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// pushed opens, keeps or clears the alarm of one alert.
func (s *Service) pushed(ctx context.Context, tx *ledger.Tx, p *amPushed) ([]ledger.Event, error) {
	rule := *index().byID[pushedRule]
	switch p.Labels["severity"] {
	case "critical", notify.Page:
		rule.Severity = notify.Page
	case "info", notify.Notice:
		rule.Severity = notify.Notice
	}
	more := map[string]string{}
	for k, v := range p.Labels {
		if k != "part" && k != "clause" {
			more[k] = v
		}
	}
	h := sighting{rule: &rule, who: p.Labels["instance"], more: more, at: tx.Now(), n: 1, value: firstOf(p.Annotations, "summary", "description", "message"), ends: p.EndsAt}
	if p.EndsAt.Year() > 1 && !p.EndsAt.After(tx.Now()) {
		found, err := s.read(ctx, tx, sameAlarm, fingerprint(h.labels()), us(tx.Now()))
		if err != nil || len(found) == 0 || !found[0].Open() {
			return nil, err
		}
		return s.clearAlarm(ctx, tx, &found[0])
	}
	return s.raise(ctx, tx, h)
}

// firstOf is the first of some texts that is there, cut to what an alarm keeps.
func firstOf(m map[string]string, names ...string) string {
	for _, n := range names {
		if v := strings.Join(strings.Fields(m[n]), " "); v != "" {
			return strings.ToValidUTF8(v[:min(len(v), mostLabel)], "")
		}
	}
	return "pushed"
}

func (s *Service) kept(x *Silence) amKept {
	k := amKept{ID: uuidOf(x.ID), Status: map[string]string{"state": "expired"}, UpdatedAt: amTime(x.Made), Comment: "The reason stands in the journal.", CreatedBy: x.MadeBy, StartsAt: amTime(x.Starts), EndsAt: amTime(x.Ends)}
	switch {
	case !s.Now().Before(x.Ends):
	case x.Waits(): // for a second person
		k.Status["state"] = "pending"
	default:
		k.Status["state"] = "active"
	}
	for _, m := range x.Matchers {
		equal := !m.Unequal
		k.Matchers = append(k.Matchers, amMatcher{m.Name, m.Value, m.Regex, &equal})
	}
	return k
}

func (s *Service) amSilences(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Silences(r.Context(), who)
	if err != nil {
		return err
	}
	var filters []Matcher
	for _, f := range r.URL.Query()["filter"] {
		m, err := ParseMatcher(f)
		if err != nil {
			return amRefused(w, err)
		}
		filters = append(filters, m)
	}
	out := []amKept{}
	for i := range all {
		labels := map[string]string{}
		for _, m := range all[i].Matchers {
			labels[m.Name] = m.Value
		}
		if !slices.ContainsFunc(filters, func(m Matcher) bool { return !m.matches(labels) }) {
			out = append(out, s.kept(&all[i]))
		}
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) oneSilence(ctx context.Context, who actor.Actor, uuid string) (Silence, error) {
	all, err := s.Silences(ctx, who)
	if err != nil {
		return Silence{}, err
	}
	i := slices.IndexFunc(all, func(x Silence) bool { return x.ID == idOf(uuid) })
	if i < 0 {
		return Silence{}, fault.New(fault.NotFound, "silence_unknown", fault.Public{Problem: "There is no such silence."})
	}
	return all[i], nil
}

func (s *Service) amOneSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	x, err := s.oneSilence(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.kept(&x))
}

// amSilence makes one; with an id it is a new version of that one, which ends when it holds.
func (s *Service) amSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/silences"); err != nil {
		return err
	}
	in, err := web.ReadJSON[amWish](r)
	if err != nil {
		return amRefused(w, err)
	}
	var ms []Matcher
	for _, m := range in.Matchers {
		x := Matcher{Name: m.Name, Value: m.Value, Regex: m.IsRegex, Unequal: m.IsEqual != nil && !*m.IsEqual}
		if err := x.compile(); err != nil {
			return amRefused(w, err)
		}
		ms = append(ms, x)
	}
	reason := in.Comment
	if by := in.CreatedBy; by != "" && len(reason) >= leastReason {
		reason += " (said to be by " + by + ")"
	}
	x, err := s.EditSilence(r.Context(), who, idOf(in.ID), ms, reason, in.EndsAt)
	if fault.KindOf(err) == fault.NotFound { // it is over, or of another server
		x, err = s.Silence(r.Context(), who, ms, reason, in.EndsAt)
	}
	if err != nil {
		return amRefused(w, err)
	}
	return web.WriteJSON(w, http.StatusOK, map[string]string{"silenceID": uuidOf(x.ID)})
}

func (s *Service) amEndSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndSilence(r.Context(), who, idOf(r.PathValue("id"))); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

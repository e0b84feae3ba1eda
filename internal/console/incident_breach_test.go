package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/breach"
)

// stolen is a record in which one customer's contacts were read.
type stolen struct{ at time.Time }

func (s stolen) Walk(_ context.Context, _ breach.Selector, _ int64, fn func(*breach.Record) error) (breach.Coverage, error) {
	return breach.Coverage{Size: 1}, fn(&breach.Record{At: s.at, Who: "thief", For: "mary", Staff: true, Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
}

func (stolen) Everybody(_ context.Context, fn func(string) error) error { return fn("person/<b>") }
func (stolen) Tagged(string, string) breach.Told                        { return breach.Told{} }
func (stolen) Named(_ context.Context, ref string) ([]string, error)    { return []string{ref}, nil }

func (stolen) Admins(context.Context) (func(string) []incident.Recipient, error) {
	return func(string) []incident.Recipient { return nil }, nil
}

func (stolen) Reach(context.Context) (func(string) []incident.Recipient, error) {
	return func(string) []incident.Recipient {
		return []incident.Recipient{{Person: "m", Name: "Mary", Email: "mary@example.test"}}
	}, nil
}

// The page of a breach is for those who work on it; it shows the set with what cannot be known,
// what waits for a signature, the times of the law, and each form where it is due.
func TestBreachPages(t *testing.T) { // breaks: inc.breach-scope, inc.breach-notify
	w := newWorld(t)
	const at = "/-/console/incidents/I-1"
	s := stolen{w.kit.Clock.Now()}
	w.incident.Real.Reads, w.incident.Real.Concerned = s, s
	w.post("dev", "/-/console/incidents", url.Values{"title": {"Records were read"}}).want(303)
	w.post("dev", at+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.get("dev", at+"/breach").want(404)
	w.post("dev", at+"/role", url.Values{"role": {"privacy-officer"}}).want(303)
	w.post("dev", at+"/kind", url.Values{"kinds": {"breach"}, "severity": {"2"}}).want(303)
	w.get("dev", at).want(200, "Exposed data: the set, times of the law, letters")
	w.get("emil", at+"/breach").want(403)
	w.get("dev", at+"/breach").want(200, "It is not computed yet", "assessment", "Say that no data was exposed")
	act := func(name string, more url.Values) page {
		more.Set("act", name)
		return w.post("dev", at+"/breach", more)
	}
	w.post("dev", at+"/step", url.Values{"event": {"confirm"}}).want(303)
	w.kit.Clock.Advance(time.Hour)
	from, until := w.kit.Clock.Now().Add(-2*time.Hour).Format(time.RFC3339), w.kit.Clock.Now().Format(time.RFC3339)
	act("scope", url.Values{"from": {until}, "until": {from}}).want(422, "a beginning, and an end after it")
	act("scope", url.Values{"from": {from}, "until": {until}, "principals": {"thief"}, "unlogged": {"a copy of the database"}, "statement": {"Nobody knows who has that copy."}}).want(303)
	shown := w.get("dev", at+"/breach").want(200, "Version 1, from 1 accesses: 1 obtained, 0 accessed, 1 possibly, 0 cleared", "No record is kept of: a copy of the database.", "Data of no known kind, at: GET /contacts/", "Sign version 1 of the set", "authority", "customers").Body.String()
	if strings.Contains(shown, "person/<b>") {
		t.Error("a subject stands in the page as HTML")
	}
	if !strings.Contains(shown, "GET /contacts/=</textarea>") {
		t.Error("what is open does not stand in the form")
	}
	w.get("dev", at+"/breach/set?class=obtained").want(200, "person/mary", "unclassified")
	w.get("dev", at+"/breach/set?class=nearly").want(422)
	again := url.Values{"from": {from}, "until": {until}, "principals": {"thief"}, "unlogged": {"a copy of the database"}, "statement": {"Nobody knows who has that copy."}}
	again.Set("data", "GET /contacts/")
	act("scope", again).want(422, "contact, credential, financial, special, content, none")
	again.Set("data", "GET /contacts/=contact\r\nGET /other/ /x=\r\n")
	act("scope", again).want(303)
	w.get("dev", at+"/breach/set?class=obtained").want(200, "contact")
	if body := w.get("dev", at+"/breach").want(200).Body.String(); !strings.Contains(body, "GET /contacts/=contact</textarea>") || strings.Contains(body, "Data of no known kind") {
		t.Error("what was said of a route does not stand in the form, or is open still")
	}
	act("vendor", url.Values{"name": {"Cloud Co"}, "contact": {"x@cloud.example"}, "questions": {"Which of your people could read it?\n\nWho else?"}}).want(303)
	act("risk", url.Values{"level": {"high"}, "reason": {"short"}}).want(422, "20 to 4000 characters")
	w.get("dev", at+"/breach/letters").want(200, "No letter is made yet", "Not legal advice", "Look at some letters: data obtained", "Dear {name},")
	act("text", url.Values{"class": {"obtained"}, "subject": {"Your data"}, "body": {incident.LetterTemplate(breach.Obtained).Body + " https://evil.example/"}}).want(422, "It leads to https://evil.example/")
	act("text", url.Values{"class": {"obtained"}, "subject": {"Your data"}, "body": {incident.LetterTemplate(breach.Obtained).Body}, "back": {"letters"}}).want(303)
	w.get("dev", at+"/breach/letters?preview=obtained").want(200, "mary@example.test", "Dear Mary,")
	w.get("dev", at+"/breach/report").want(200, "Not legal advice", "Concerned, obtained: 1")
	act("nothing", url.Values{}).want(422, "There is no such act")
}

package status

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// octets are the longest line of a calendar without its end (RFC 5545, 3.1).
const octets = 75

// ical adds the calendar of maintenance. What was taken back before it began stays, cancelled,
// so that calendars that have it lose it; what ended early ends so.
func (w world) ical(out map[string]file) {
	var b strings.Builder
	line := func(name, value string) { fold(&b, name+":"+value) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	line("PRODID", "-//Writ//Status page//EN")
	line("METHOD", "PUBLISH")
	line("X-WR-CALNAME", quoted("Maintenance of "+w.Company))
	for _, list := range [][]Window{w.Windows, w.Done} {
		for _, x := range list {
			ends, status := x.Ends, "CONFIRMED"
			if x.Gone() {
				status = "CANCELLED"
			} else if x.State == Completed && x.Changed.Before(x.Ends) {
				ends = x.Changed
			}
			line("BEGIN", "VEVENT")
			line("UID", x.ID+"@"+w.host())
			line("DTSTAMP", utc(x.Changed))
			line("CREATED", utc(x.Made))
			line("LAST-MODIFIED", utc(x.Changed))
			line("SEQUENCE", fmt.Sprint(x.Changed.Unix()-x.Made.Unix())) // rises with each change
			line("DTSTART", utc(x.Starts))
			line("DTEND", utc(ends))
			line("SUMMARY", quoted(x.Title))
			line("DESCRIPTION", quoted(x.Body))
			line("URL", w.Origin+At+"#maintenance")
			line("STATUS", status)
			line("TRANSP", "TRANSPARENT")
			line("END", "VEVENT")
		}
	}
	if len(w.Windows)+len(w.Done) == 0 { // a calendar has at least one thing in it
		for _, l := range []string{"BEGIN:VTIMEZONE", "TZID:Etc/UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"} {
			fold(&b, l)
		}
	}
	line("END", "VCALENDAR")
	f := made("text/calendar; charset=utf-8", []byte(b.String()))
	f.open = true
	out["maintenance.ics"] = f
}

func utc(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// quoted is a TEXT (RFC 5545, 3.3.11). Texts of the page have no control characters but ends of lines and tabs.
func quoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\r", `\n`, "\n", `\n`).Replace(s)
}

// fold writes a line, going on in the next one with a space before a character that would make
// it longer than 75 octets. A character is never cut.
func fold(b *strings.Builder, s string) {
	n := 0
	for _, r := range s {
		size := utf8.RuneLen(r)
		if n+size > octets {
			b.WriteString("\r\n ")
			n = 1
		}
		b.WriteRune(r)
		n += size
	}
	b.WriteString("\r\n")
}

package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/policy/document"
)

// egressState is what the way out says of itself.
type egressState struct {
	Listen  string `json:"listen"`
	Open    int64  `json:"open"`
	Callers []struct {
		Name string   `json:"name"`
		From []string `json:"from"`
	} `json:"callers"`
	Destinations []destination `json:"destinations"`
	Moves        []struct {
		Caller   string    `json:"caller"`
		Name     string    `json:"name"`
		Port     int       `json:"port"`
		Cause    string    `json:"cause"`
		Count    int64     `json:"count"`
		Sent     int64     `json:"sent"`
		Received int64     `json:"received"`
		Last     time.Time `json:"last"`
	} `json:"moves"`
	Past []struct {
		Service string    `json:"service"`
		Reached []string  `json:"reached"`
		Told    time.Time `json:"told"`
	} `json:"past"`
}

type destination struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Port   int       `json:"port"`
	Inside []string  `json:"inside"`
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	Until  time.Time `json:"until"`
	Ended  time.Time `json:"ended"`
}

func (a *app) gatewayEgress() *cobra.Command {
	return a.group("egress", "See and change where private services may go outside",
		"Private services reach the outside through Writ alone (gateway: egress: in writ.yaml), over TLS, and only at the\nnames on the list. Each destination has a reason and an end.",
		"  writ gateway egress list\n  writ gateway egress allow api.example.com --reason \"orders go there\" --until 90d\n  writ gateway egress remove api.example.com",
		a.egressList(), a.egressAllow(), a.egressRemove(), a.egressPast())
}

func (a *app) egressList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the destinations, and who went there or was refused", Long: "Lists destinations in force first, then who went out or was refused in the last 90 days, the newest first.",
		Example: "  writ gateway egress list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway/egress", &raw); err != nil || a.json() {
				return a.orJSON(err, raw)
			}
			return a.printEgress(raw)
		}),
	}
}

func (a *app) printEgress(raw json.RawMessage) error {
	var s egressState
	if err := decode(raw, &s); err != nil {
		return err
	}
	if s.Listen == "" {
		a.say("No way out is set up: gateway: egress: in writ.yaml.")
	} else {
		a.say("Private services go out at %s; %d connections are open.", visible(s.Listen), s.Open)
	}
	for _, k := range s.Callers {
		a.say("%s comes from %s.", visible(k.Name), visible(strings.Join(k.From, ", ")))
	}
	if len(s.Destinations) == 0 {
		a.say("No destination is listed: nothing may be reached.")
	} else {
		t := newTable(a.out, "DESTINATION", "INSIDE", "UNTIL", "BY", "REASON")
		for _, d := range s.Destinations {
			until := a.date(d.Until)
			if !d.Ended.IsZero() {
				until = "ended " + a.date(d.Ended)
			}
			t.row(net.JoinHostPort(d.Name, strconv.Itoa(d.Port)), strings.Join(d.Inside, " "), until, d.Owner, d.Reason)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	for _, p := range s.Past {
		says := "reached nothing past the way out"
		if len(p.Reached) > 0 {
			says = "reached " + strings.Join(p.Reached, ", ") + " past the way out"
		}
		a.say("%s %s, %s.", visible(p.Service), visible(says), a.when(p.Told))
	}
	if len(s.Moves) == 0 {
		return nil
	}
	t := newTable(a.out, "WHO", "WENT TO", "", "TIMES", "KIB OUT", "KIB IN", "LAST")
	for _, m := range s.Moves {
		who, to, how := m.Caller, "no plain name", "refused: "+m.Cause
		if who == "" {
			who = "nobody known"
		}
		if m.Name != "" {
			to = net.JoinHostPort(m.Name, strconv.Itoa(m.Port))
		}
		if m.Cause == "" {
			how = "let out"
		}
		t.row(who, to, how, number(m.Count), number(m.Sent>>10), number(m.Received>>10), a.when(m.Last))
	}
	return t.flush()
}

func (a *app) egressAllow() *cobra.Command {
	var in struct {
		Name   string    `json:"name"`
		Port   int       `json:"port,omitempty"`
		Inside []string  `json:"inside,omitempty"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until"`
	}
	var until string
	c := &cobra.Command{
		Use: "allow NAME", Short: "Let private services reach a name outside for a while",
		Long: `The name is a whole one, without *. --until is a date, a time, or a span such as 90d; at most a
year. A name that leads to an address that is not public is refused, unless it lies in a network
that --inside names.`,
		Example: "  writ gateway egress allow api.example.com --reason \"orders go there\" --until 90d\n  writ gateway egress allow hub.partner.example --port 8443 --inside 10.9.0.0/16 --reason \"over the VPN\" --until 2027-06-30", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			var err error
			if in.Until, err = parseTime(until); err != nil {
				d, derr := document.ParseDuration(until)
				if derr != nil {
					return &usageError{fmt.Errorf("--until: %w, or a span such as 90d", err)}
				}
				in.Until = a.now().Add(d).UTC().Truncate(time.Second)
			}
			in.Name = args[0]
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "gateway/egress/destinations", in, &raw); err != nil {
				return err
			}
			var d destination
			if err := decode(raw, &d); err != nil {
				return err
			}
			return a.done(fmt.Sprintf("Private services may reach %s until %s. To end it before: writ gateway egress remove %s", visible(net.JoinHostPort(d.Name, strconv.Itoa(d.Port))), a.date(d.Until), visible(d.ID)), raw)
		}),
	}
	f := c.Flags()
	f.IntVar(&in.Port, "port", 443, "port of the destination")
	f.StringSliceVar(&in.Inside, "inside", nil, "private network in which it may lie; may be given again")
	f.StringVar(&in.Reason, "reason", "", "what it is needed for; it stands in the record")
	f.StringVar(&until, "until", "", "its end: a date, a time, or a span such as 90d")
	for _, name := range []string{"reason", "until"} {
		_ = c.MarkFlagRequired(name) // the flag is there
	}
	return c
}

func (a *app) egressRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Take a destination off the list", Long: "Takes it off by its name, name:port or id. What is open to it goes on until it ends.", Example: "  writ gateway egress remove api.example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "gateway/egress/destinations/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("It is off the list.", nil)
		}),
	}
}

// outsiders are places that answer nearly everywhere: public resolvers.
var outsiders = []string{"1.1.1.1:443", "8.8.8.8:443", "9.9.9.9:443", "[2606:4700:4700::1111]:443"}

func (a *app) egressPast() *cobra.Command {
	var service string
	var to []string
	c := &cobra.Command{
		Use: "past", Short: "Try from this machine to leave past the way out, and tell the server what was reached",
		Long: `Run it daily on the machine of a private service (tries: true of its caller in writ.yaml). It
connects to places outside without the way out, three seconds each, sends nothing, and tells the
server which answered; none should. A token for it needs no scope but gateway:egress. The exit
status is 1 when one was reached.`,
		Example: "  writ gateway egress past --service billing", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			reached := []string{}
			for _, at := range to {
				d := net.Dialer{Timeout: 3 * time.Second}
				if conn, err := d.DialContext(c.Context(), "tcp", at); err == nil {
					reached = append(reached, at)
					_ = conn.Close() // nothing was said
				}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			told := map[string]any{"service": service, "tried": len(to), "reached": reached}
			if err := conn.post(c.Context(), "gateway/egress/past", told, nil); err != nil {
				return err
			}
			raw, err := json.Marshal(told)
			if err != nil {
				return fmt.Errorf("encode what was reached: %w", err)
			}
			if len(reached) == 0 {
				return a.done(fmt.Sprintf("Of %d places none was reached past the way out.", len(to)), raw)
			}
			if err := a.done("Reached past the way out: "+visible(strings.Join(reached, ", "))+". Close that way in the network's rules.", raw); err != nil {
				return err
			}
			return no
		}),
	}
	f := c.Flags()
	f.StringVar(&service, "service", "", "name of the service, as in writ.yaml")
	f.StringSliceVar(&to, "to", outsiders, "place to try, host:port; may be given again")
	_ = c.MarkFlagRequired("service") // the flag is there
	return c
}

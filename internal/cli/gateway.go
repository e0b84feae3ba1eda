package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// gate is what the gateway says of itself.
type gate struct {
	Mode     string    `json:"mode"`
	Share    int       `json:"share"`
	Since    time.Time `json:"since"`
	Upstream string    `json:"upstream"`
	Table    struct {
		Least  string   `json:"least"`
		Public []string `json:"public_paths"`
		Routes []struct {
			Path    string   `json:"path"`
			Methods []string `json:"methods"`
			Who     string   `json:"who"`
			Roles   []string `json:"roles"`
			Scopes  []string `json:"scopes"`
			StepUp  string   `json:"step_up"`
			Limit   string   `json:"limit"`
			Quota   string   `json:"quota"`
			Body    string   `json:"body"`
		} `json:"routes"`
		Clamped []string `json:"clamped"`
	} `json:"table"`
	Description *struct {
		Files   []string `json:"files"`
		Problem string   `json:"problem"`
		Remarks []struct {
			File string `json:"file"`
			Line int    `json:"line"`
			Says string `json:"says"`
		} `json:"remarks"`
	} `json:"description"`
	Operations []struct {
		Method string   `json:"method"`
		Path   string   `json:"path"`
		Scopes []string `json:"scopes"`
		Takes  string   `json:"takes"`
	} `json:"operations"`
}

func (a *app) gatewayCommand() *cobra.Command {
	maintenance := a.group("maintenance", "Close the gate for maintenance, or open it",
		"During maintenance the application gets no request; Writ's own pages work. What is under way has half a minute to end.",
		"  writ gateway maintenance on --reason \"database move\"\n  writ gateway maintenance on --let staff\n  writ gateway maintenance off",
		a.maintenanceOn(), a.modeCommand("off", "normal", "Open the gate again", "writ gateway maintenance off"))
	freeze := a.group("freeze", "Let the application be read and nothing be changed, or end that",
		"While the gate is frozen only GET, HEAD and OPTIONS pass; WebSockets are cut, and changes under way have half a minute to end.",
		"  writ gateway freeze on --reason \"lost writes\"\n  writ gateway freeze off",
		a.modeCommand("on", "frozen", "Freeze the gate: nothing can be changed", "writ gateway freeze on"), a.modeCommand("off", "normal", "Open the gate again", "writ gateway freeze off"))
	return a.group("gateway", "See routes, places and cache of the gate, ask why a request passes, close it for maintenance",
		"The gate stands before the application and lets in whom the policy and routes.yaml allow.",
		"  writ gateway routes\n  writ gateway explain GET /orders/1 --role member\n  writ gateway maintenance on", a.gatewayRoutes(), a.gatewayExplain(), a.gatewayRecords(), a.gatewayWAF(), a.gatewayUpstreams(), a.gatewayCache(), a.gatewayEgress(), a.gatewayBlock(), maintenance, freeze)
}

func (a *app) gatewayRoutes() *cobra.Command {
	return &cobra.Command{
		Use: "routes", Short: "Show who may come where",
		Long: `Shows the routes in force. The policy says the least that is asked of a visitor and which
paths are public; routes.yaml may only tighten that. Programs reach what the description of the
interface names, with the scopes of route and operation.`,
		Example: "  writ gateway routes\n  writ gateway routes --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			return a.printGate(raw)
		}),
	}
}

func (a *app) printGate(raw json.RawMessage) error {
	var g gate
	if err := decode(raw, &g); err != nil {
		return err
	}
	since := ""
	if g.Since.Year() > 1970 { // never changed
		since = " since " + a.when(g.Since)
	}
	a.say("The gate is in mode %s%s; behind it is %s.", visible(g.Mode), since, visible(g.Upstream))
	t := newTable(a.out, "PATH", "METHODS", "WHO", "TOKENS WITH", "ASKS TOO", "BY")
	for _, p := range g.Table.Public {
		t.row(p, "all", "anyone", "", "", "policy")
	}
	for _, r := range g.Table.Routes {
		methods, who := strings.Join(r.Methods, " "), r.Who
		if methods == "" {
			methods = "all"
		}
		if len(r.Roles) > 0 {
			who = strings.Join(r.Roles, " or ")
		}
		var too []string
		for name, v := range map[string]string{"step-up ": r.StepUp, "limit ": r.Limit, "quota ": r.Quota, "body ": r.Body} {
			if v != "" {
				too = append(too, name+v)
			}
		}
		slices.Sort(too)
		t.row(r.Path, methods, who, strings.Join(r.Scopes, " "), strings.Join(too, ", "), "routes.yaml")
	}
	t.row("all else", "all", g.Table.Least, "", "", "policy")
	if err := t.flush(); err != nil {
		return err
	}
	for _, p := range g.Table.Clamped {
		a.say("The policy is tighter than routes.yaml for %s; the policy holds.", visible(p))
	}
	return a.printOperations(g)
}

// printOperations shows what programs may do.
func (a *app) printOperations(g gate) error {
	d := g.Description
	if d == nil {
		return nil
	}
	a.say("")
	a.say("Programs reach what %s describes:", visible(strings.Join(d.Files, ", ")))
	t := newTable(a.out, "METHOD", "PATH", "A TOKEN NEEDS", "TAKES")
	for _, o := range g.Operations {
		t.row(o.Method, o.Path, strings.Join(o.Scopes, ", or "), o.Takes)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if d.Problem != "" {
		a.say("It is not in force as it is now: %s", visible(d.Problem))
	}
	for _, r := range d.Remarks {
		a.say("%s:%d: %s", visible(r.File), r.Line, visible(r.Says))
	}
	return nil
}

func (a *app) modeCommand(use, mode, short, example string) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: use, Short: short, Long: short + ". The act and its reason are recorded.",
		Example: "  " + example, Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error { return a.setMode(c.Context(), mode, 0, reason) }),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	return c
}

func (a *app) maintenanceOn() *cobra.Command {
	var let string
	c := a.modeCommand("on", "maintenance", "Close the gate: visitors see the maintenance page", "writ gateway maintenance on --let 5%")
	c.Flags().StringVar(&let, "let", "", "who comes in all the same: staff, or staff and so many per cent of the teams, such as 5%")
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		reason, _ := c.Flags().GetString("reason") // it is there
		switch share, percent := strings.CutSuffix(let, "%"); {
		case let == "":
			return a.setMode(c.Context(), "maintenance", 0, reason)
		case let == "staff":
			return a.setMode(c.Context(), "staged", 0, reason)
		case percent:
			if n, err := strconv.Atoi(share); err == nil && n > 0 && n <= 100 {
				return a.setMode(c.Context(), "staged", n, reason)
			}
		}
		return &exit{exitUsage, fmt.Errorf("--let is %q; expected staff, or per cent of the teams such as 5%%", let)}
	})
	return c
}

func (a *app) setMode(ctx context.Context, mode string, share int, reason string) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.call(ctx, http.MethodPut, "gateway/mode", map[string]any{"mode": mode, "share": share, "reason": reason}, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var g gate
	if err := decode(raw, &g); err != nil {
		return err
	}
	switch g.Mode {
	case "maintenance":
		a.say("The gate is closed for maintenance. Open it with: writ gateway maintenance off")
	case "frozen":
		a.say("The gate is frozen: the application can be read, and nothing can be changed. Open it with: writ gateway freeze off")
	case "staged":
		a.say("The gate is open to staff and %d %% of the teams. Open it to all with: writ gateway maintenance off", g.Share)
	default:
		a.say("The gate is open.")
	}
	return nil
}

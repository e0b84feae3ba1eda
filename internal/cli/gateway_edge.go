package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// edge is what the gateway says of the application's places and of its cache.
type edge struct {
	Upstreams []struct {
		URL      string    `json:"url"`
		Zone     string    `json:"zone"`
		Local    bool      `json:"local"`
		State    string    `json:"state"`
		Problem  string    `json:"problem"`
		Checked  time.Time `json:"checked"`
		Requests int64     `json:"requests"`
		Failed   int64     `json:"failed"`
	} `json:"upstreams"`
	Cache []struct {
		Class  string   `json:"class"`
		Routes []string `json:"routes"`
		Rate   int64    `json:"rate"`
		Hits   int64    `json:"hits"`
		Stale  int64    `json:"stale"`
		Misses int64    `json:"misses"`
		Passed int64    `json:"passed"`
		Stored int64    `json:"stored"`
		Bytes  int64    `json:"bytes"`
	} `json:"cache"`
	CacheUsed int64 `json:"cache_used"`
	CacheMost int64 `json:"cache_most"`
}

// gatewayUpstreams shows where the application is reached.
func (a *app) gatewayUpstreams() *cobra.Command {
	return &cobra.Command{
		Use: "upstreams", Short: "Show where the application is reached, and which places are well",
		Long:    "Shows the places of the application by zone. A place is out after two bad checks, in again after two good\nones, and rests for five seconds when requests to it fail.",
		Example: "  writ gateway upstreams", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			g, raw, err := a.edge(c.Context())
			if err != nil || a.json() {
				return a.orJSON(err, raw)
			}
			t := newTable(a.out, "PLACE", "ZONE", "STATE", "REQUESTS", "FAILED", "PROBLEM")
			for _, u := range g.Upstreams {
				zone := u.Zone
				if u.Local {
					zone += " (ours)"
				}
				t.row(u.URL, zone, u.State, number(u.Requests), number(u.Failed), u.Problem)
			}
			return t.flush()
		}),
	}
}

// gatewayCache shows how often files come from memory, and purges them.
func (a *app) gatewayCache() *cobra.Command {
	c := &cobra.Command{
		Use: "cache", Short: "Show how often files come from the cache, or purge them",
		Long:    "Shows each class of static files of the policy: its routes, and how often a file came from memory.",
		Example: "  writ gateway cache\n  writ gateway cache purge --path /static/", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			g, raw, err := a.edge(c.Context())
			if err != nil || a.json() {
				return a.orJSON(err, raw)
			}
			a.say("%s MiB of %s are used.", number(g.CacheUsed>>20), number(g.CacheMost>>20))
			t := newTable(a.out, "CLASS", "FROM THE CACHE", "HITS", "STALE", "FETCHED", "PASSED ON", "FILES", "KIB", "ROUTES")
			for _, k := range g.Cache {
				routes := strings.Join(k.Routes, " ")
				if routes == "" {
					routes = "none: give a route in routes.yaml cache: " + k.Class
				}
				t.row(k.Class, number(k.Rate)+" %", number(k.Hits), number(k.Stale), number(k.Misses), number(k.Passed), number(k.Stored), number(k.Bytes>>10), routes)
			}
			return t.flush()
		}),
	}
	c.AddCommand(a.gatewayPurge())
	return c
}

func (a *app) gatewayPurge() *cobra.Command {
	var wish struct {
		Path   string `json:"path,omitempty"`
		Tag    string `json:"tag,omitempty"`
		All    bool   `json:"all,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	c := &cobra.Command{
		Use: "purge", Short: "Forget cached files by path, by tag, or all",
		Long:    "Forgets cached files on this server at once and on the others within two seconds. /x is that file with any\nquery, /x/ all below. A tag is what the application says in Cache-Tag or Surrogate-Key. The act is recorded.",
		Example: "  writ gateway cache purge --path /static/\n  writ gateway cache purge --tag logo --reason \"new logo\"", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.call(c.Context(), http.MethodPost, "gateway/cache/purge", wish, &raw); err != nil || a.json() {
				return a.orJSON(err, raw)
			}
			var done struct {
				Purged int64 `json:"purged"`
			}
			if err := decode(raw, &done); err != nil {
				return err
			}
			a.say("%s cached files are forgotten here; other servers follow within two seconds.", number(done.Purged))
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&wish.Path, "path", "", "path of a file, or of a folder with a slash at its end")
	f.StringVar(&wish.Tag, "tag", "", "tag that the application gives its answers")
	f.BoolVar(&wish.All, "all", false, "everything")
	f.StringVar(&wish.Reason, "reason", "", "why; it is recorded")
	return c
}

func (a *app) edge(ctx context.Context) (g edge, raw json.RawMessage, err error) {
	conn, err := a.open(ctx)
	if err != nil {
		return g, nil, err
	}
	if err := conn.get(ctx, "gateway", &raw); err != nil {
		return g, nil, err
	}
	return g, raw, decode(raw, &g)
}

// orJSON prints the server's own words, unless it had an error to tell.
func (a *app) orJSON(err error, raw json.RawMessage) error {
	if err != nil {
		return err
	}
	return a.printJSON(raw)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) gatewayRecords() *cobra.Command {
	v := map[string]*string{}
	var staff bool
	var limit int
	var export string
	c := &cobra.Command{
		Use: "records", Short: "Search the access records: who asked the application for what",
		Long: `Lists requests that the gate answered, the newest first. Persons stand there under the
pseudonym that the journal has for them; --person takes an id or such a pseudonym. With --export
all that match are written, the oldest first, as lines of JSON or as events of OCSF. Every search
and every export is recorded.`,
		Example: "  writ gateway records --since 2h --status 4\n  writ gateway records --resource contact=17 --since 720h\n  writ gateway records --staff --since 720h --export ocsf > looks.jsonl", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			q := url.Values{}
			for name, s := range v {
				if *s != "" {
					q.Set(name, *s)
				}
			}
			if staff {
				q.Set("staff", "1")
			}
			if export != "" {
				q.Set("format", export)
				resp, err := conn.do(c.Context(), http.MethodGet, "gateway/records/export?"+q.Encode(), nil)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					return conn.refused(resp)
				}
				_, err = io.Copy(a.out, resp.Body)
				return err
			}
			q.Set("limit", strconv.Itoa(limit))
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway/records?"+q.Encode(), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			return a.printRecords(raw)
		}),
	}
	f := c.Flags()
	for _, o := range []struct{ flag, name, says string }{{"person", "person", "who acted, or on whose behalf: an id, or a pseudonym"}, {"team", "team", "id of a team"}, {"session", "session", "a session, or a look of staff"},
		{"token", "token", "id of a token"}, {"route", "route", "pattern of a route"}, {"method", "method", "such as POST"}, {"resource", "resource", "a record of the application, such as contact=17"},
		{"clause", "clause", "refused for this clause"},
		{"status", "status", "404, or 4 for all of them"}, {"since", "from", "an age such as 2h, or a time; a day when it is left out"}, {"until", "until", "an age or a time"}} {
		v[o.name] = f.String(o.flag, "", o.says)
	}
	f.BoolVar(&staff, "staff", false, "by staff alone")
	f.IntVar(&limit, "limit", 100, "how many, at most 1000")
	f.StringVar(&export, "export", "", "write all that match as jsonl or ocsf")
	return c
}

func (a *app) printRecords(raw json.RawMessage) error {
	var page struct {
		Records []struct {
			At       time.Time `json:"at"`
			Kind     string    `json:"kind"`
			Who      string    `json:"who"`
			For      string    `json:"for"`
			Route    string    `json:"route"`
			Method   string    `json:"method"`
			Status   int       `json:"status"`
			Code     string    `json:"code"`
			Resource []string  `json:"resource"`
			Network  string    `json:"network"`
			Address  string    `json:"address"`
		} `json:"records"`
	}
	if err := decode(raw, &page); err != nil {
		return err
	}
	if len(page.Records) == 0 {
		a.say("No request matches.")
		return nil
	}
	t := newTable(a.out, "WHEN", "WHO", "REQUEST", "RECORDS", "ANSWER", "FROM")
	for _, r := range page.Records {
		who, from := r.Kind+" "+r.Who, r.Network
		if r.For != "" {
			who += " as " + r.For
		}
		if r.Address != "" {
			from = r.Address
		}
		t.row(a.when(r.At), strings.TrimSpace(who), r.Method+" "+r.Route, strings.Join(r.Resource, " "), strings.TrimSpace(strconv.Itoa(r.Status)+" "+r.Code), from)
	}
	return t.flush()
}

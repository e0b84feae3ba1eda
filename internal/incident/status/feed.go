package status

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"time"
)

// item is an update, or maintenance, as feeds tell of it.
type item struct {
	id, title, text, link string
	made, changed         time.Time
}

// items are the newest hundred, the newest first: each update of each incident, and maintenance.
func (w world) items() []item {
	var out []item
	host := w.host()
	for _, list := range [][]Public{w.Open, w.Past} {
		for _, p := range list {
			for _, u := range p.Posts {
				out = append(out, item{id: "tag:" + host + ",2026:update/" + u.ID, title: Word(u.State) + ": " + p.Title, text: told(u), link: w.Origin + At + "/incidents/" + p.ID, made: u.At, changed: u.At})
			}
		}
	}
	for _, list := range [][]Window{w.Windows, w.Done} {
		for _, x := range list {
			out = append(out, item{id: "tag:" + host + ",2026:maintenance/" + x.ID, title: "Maintenance " + Word(x.State) + ": " + x.Title,
				text: "From " + stamp(x.Starts) + " until " + stamp(x.Ends) + ". " + x.Body, link: w.Origin + At + "#maintenance", made: x.Made, changed: x.Changed})
		}
	}
	slices.SortFunc(out, func(a, b item) int { return b.changed.Compare(a.changed) })
	return out[:min(len(out), 100)]
}

// host is in the ids of what readers keep.
func (w world) host() string {
	if u, err := url.Parse(w.Origin); err == nil {
		return u.Hostname()
	}
	return "status"
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// told is an update with its estimate, as text.
func told(u Shown) string {
	out := u.Body
	switch {
	case !u.Estimate.IsZero():
		out += "\n\nWe expect service to return by " + stamp(u.Estimate) + "."
	case !u.Next.IsZero():
		out += "\n\nWe do not know yet when service returns. The next update comes by " + stamp(u.Next) + "."
	}
	if u.Corrects != "" {
		out = "A correction: " + out
	}
	return out
}

type (
	atomLink struct {
		Rel  string `xml:"rel,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomText struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}
	atomEntry struct {
		ID        string   `xml:"id"`
		Title     string   `xml:"title"`
		Link      atomLink `xml:"link"`
		Published string   `xml:"published"`
		Updated   string   `xml:"updated"`
		Content   atomText `xml:"content"`
	}
	atomFeed struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string   `xml:"id"`
		Title   string   `xml:"title"`
		Updated string   `xml:"updated"`
		Author  struct {
			Name string `xml:"name"`
		} `xml:"author"`
		Links   []atomLink  `xml:"link"`
		Entries []atomEntry `xml:"entry"`
	}
	rssItem struct {
		Title string `xml:"title"`
		Link  string `xml:"link"`
		GUID  struct {
			Permanent bool   `xml:"isPermaLink,attr"`
			ID        string `xml:",chardata"`
		} `xml:"guid"`
		Published string `xml:"pubDate"`
		Text      string `xml:"description"`
	}
	rssFeed struct {
		XMLName xml.Name `xml:"rss"`
		Version string   `xml:"version,attr"`
		Channel struct {
			Title string    `xml:"title"`
			Link  string    `xml:"link"`
			Text  string    `xml:"description"`
			Items []rssItem `xml:"item"`
		} `xml:"channel"`
	}
	jsonItem struct {
		ID        string    `json:"id"`
		URL       string    `json:"url"`
		Title     string    `json:"title"`
		Text      string    `json:"content_text"`
		Published time.Time `json:"date_published"`
		Modified  time.Time `json:"date_modified"`
	}
	jsonFeed struct {
		Version string     `json:"version"`
		Title   string     `json:"title"`
		Home    string     `json:"home_page_url"`
		Feed    string     `json:"feed_url"`
		Items   []jsonItem `json:"items"`
	}
)

// feeds adds Atom, RSS and JSON Feed. Texts are escaped, and never are HTML of somebody else.
func (w world) feeds(out map[string]file) error {
	home, title := w.Origin+At, "Status of "+w.Company
	changed := w.changed()
	if changed.IsZero() {
		changed = w.Made
	}
	atom := atomFeed{ID: home, Title: title, Updated: changed.UTC().Format(time.RFC3339), Links: []atomLink{{"self", home + "/history.atom"}, {"alternate", home}}}
	atom.Author.Name = w.Company
	rss := rssFeed{Version: "2.0"}
	rss.Channel.Title, rss.Channel.Link, rss.Channel.Text = title, home, "Incidents and maintenance"
	js := jsonFeed{Version: "https://jsonfeed.org/version/1.1", Title: title, Home: home, Feed: home + "/feed.json", Items: []jsonItem{}}
	for _, x := range w.items() {
		atom.Entries = append(atom.Entries, atomEntry{ID: x.id, Title: x.title, Link: atomLink{"alternate", x.link}, Published: x.made.UTC().Format(time.RFC3339), Updated: x.changed.UTC().Format(time.RFC3339), Content: atomText{"text", x.text}})
		r := rssItem{Title: x.title, Link: x.link, Published: x.changed.UTC().Format(time.RFC1123Z), Text: strings.ReplaceAll(html.EscapeString(x.text), "\n", "<br>\n")} // readers take it for HTML
		r.GUID.ID = x.id
		rss.Channel.Items = append(rss.Channel.Items, r)
		js.Items = append(js.Items, jsonItem{x.id, x.link, x.title, x.text, x.made, x.changed})
	}
	for name, f := range map[string]struct {
		kind string
		v    any
	}{"history.atom": {"application/atom+xml; charset=utf-8", atom}, "history.rss": {"application/rss+xml; charset=utf-8", rss}} {
		b, err := xml.Marshal(f.v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		out[name] = made(f.kind, append([]byte(xml.Header), b...))
	}
	b, err := json.Marshal(js)
	if err != nil {
		return fmt.Errorf("encode feed: %w", err)
	}
	f := made("application/feed+json; charset=utf-8", b)
	f.open = true
	out["feed.json"] = f
	return nil
}

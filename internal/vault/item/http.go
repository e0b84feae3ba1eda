package item

import (
	"net/http"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// Routes are the JSON API and the page of one-time links. The console has the other pages.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/"
	on := func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.Staff, Limit: limit, Handle: h, Doc: d}
	}
	const few = 16 << 10
	refused := []string{"item_unknown", "item_level", "item_deleted"}
	and := func(more ...string) []string { return append(slices.Clone(refused), more...) }
	return []web.Route{
		on("GET "+v1+"items", few, s.getItems, web.Doc{Summary: "The items that are shared with you, without secrets", Query: []string{"q", "folder", "kind", "deleted"}, Out: itemsOut{}}),
		on("POST "+v1+"items", 1<<20, s.postItem, web.Doc{Summary: "Make an item", In: itemIn{}, Out: itemWire{}, Status: http.StatusCreated, Errors: []string{"card_number", "holders_few", "owner_needed", "field_unknown"}}),
		on("GET "+v1+"items/{id}", few, s.getItem, web.Doc{Summary: "One item with its history, without secrets", Out: itemOut{}, Errors: refused}),
		on("PUT "+v1+"items/{id}", 1<<20, s.putItem, web.Doc{Summary: "Make a new version; a secret that is left out stays as it is", In: itemIn{}, Out: itemWire{}, Errors: and("card_number", "holders_few", "item_out", "item_changed")}),
		on("DELETE "+v1+"items/{id}", few, s.deleteItem, web.Doc{Summary: "Delete an item; an owner can take it back for 30 days", Errors: refused}),
		on("POST "+v1+"items/{id}/restore", few, s.postRestore, web.Doc{Summary: "Make a former version the newest, or take a deletion back", In: restoreIn{}, Out: itemWire{}, Errors: and("version_unknown", "version_same", "item_live")}),
		on("POST "+v1+"items/{id}/reveal", few, s.postReveal, web.Doc{Summary: "Hand out one secret; recorded before it is answered", In: revealIn{}, Out: revealedOut{}, Errors: and("reason_missing", "item_out", "seed_kept", "field_unknown")}),
		on("POST "+v1+"items/{id}/code", few, s.postCode, web.Doc{Summary: "Hand out the one-time code of this moment; recorded before it is answered", In: codeIn{}, Out: codeOut{}, Errors: and("reason_missing", "item_out", "field_unknown")}),
		on("POST "+v1+"items/{id}/shares", few, s.postShare, web.Doc{Summary: "Share an item with a person, role:NAME or team", In: shareIn{}, Out: itemWire{}, Errors: and("no_person", "owner_person")}),
		on("DELETE "+v1+"items/{id}/shares", few, s.deleteShare, web.Doc{Summary: "Take an item from somebody", Query: []string{"from"}, Errors: and("owner_last", "holders_few", "holder_unknown")}),
		on("POST "+v1+"items/{id}/links", few, s.postLink, web.Doc{Summary: "Make a link that shows some fields once", In: linkIn{}, Out: linkOut{}, Status: http.StatusCreated, Errors: and("reason_missing", "link_time", "field_unknown")}),
		on("DELETE "+v1+"items/{id}/links/{link}", few, s.deleteLink, web.Doc{Summary: "End a link that nobody has opened", Errors: and("link_unknown")}),
		on("POST "+v1+"items/{id}/checkout", few, s.postOut, web.Doc{Summary: "Have an item for oneself, for a while", In: outIn{}, Out: itemWire{}, Errors: and("item_out", "reason_missing", "checkout_time")}),
		on("DELETE "+v1+"items/{id}/checkout", few, s.deleteOut, web.Doc{Summary: "Give it back; it is due for replacement", Errors: and("item_in")}),
		on("POST "+v1+"items/{id}/files", 3<<19, s.postFile, web.Doc{Summary: "Attach a file of at most 1 MiB", In: fileIn{}, Out: fileWire{}, Status: http.StatusCreated, Errors: and("file_size", "file_many", "card_number")}),
		on("POST "+v1+"items/{id}/files/{file}/read", few, s.postReadFile, web.Doc{Summary: "Hand out a file; recorded before it is answered", In: codeIn{}, Out: fileOut{}, Errors: and("reason_missing", "file_unknown")}),
		on("DELETE "+v1+"items/{id}/files/{file}", few, s.deleteFile, web.Doc{Summary: "Remove a file", Errors: and("file_unknown")}),
		on("POST "+v1+"generate", few, s.postGenerate, web.Doc{Summary: "Make a password or a passphrase", In: generateIn{}, Out: generatedOut{}, Errors: []string{"generate"}}),
		on("GET "+v1+"item-report", few, s.getReport, web.Doc{Summary: "Items that are weak, reused, old, overdue, banned, ownerless or held by one person", Out: reportOut{}}),
		on("POST "+v1+"item-import", MaxImport*3/2, s.postImport, web.Doc{Summary: "Read items of another keeper of passwords: try first, then import with the pass of the try", In: importIn{}, Out: importOut{}, Errors: []string{"import_file", "import_pass", "import_rows", "import_busy", "import_used", "kdbx_password", "kdbx_key_file", "kdbx_work"}}),
		{Pattern: "GET /-/once/{token}", Who: web.Anyone, Handle: stranger(s.showOnce)},
		{Pattern: "POST " + atOnce + "/{token}", Who: web.Anyone, Handle: stranger(s.openOnce)},
	}
}

type (
	holderWire struct {
		Who   string    `json:"who"` // person/ID, role/NAME, team
		Name  string    `json:"name"`
		Level string    `json:"level"`
		Since time.Time `json:"since"`
	}
	outWire struct {
		Person string    `json:"person"`
		Name   string    `json:"name"`
		Until  time.Time `json:"until"`
	}
	fieldWire struct {
		ID     string `json:"id"`
		Label  string `json:"label"`
		Secret bool   `json:"secret"`
		Value  string `json:"value,omitempty"` // of what is no secret
	}
	fileWire struct {
		ID    string    `json:"id"`
		Name  string    `json:"name"`
		Size  int64     `json:"size"`
		Added time.Time `json:"added"`
	}
	linkWire struct {
		ID     string     `json:"id"`
		Fields []string   `json:"fields"`
		Until  time.Time  `json:"until"`
		State  string     `json:"state"` // waits, opened, ended, over
		Opened *time.Time `json:"opened,omitempty"`
		Opener string     `json:"opener,omitempty"`
		Again  int64      `json:"again"` // refused openings after the first
	}
	itemWire struct {
		ID        string       `json:"id"`
		Kind      string       `json:"kind"`
		Title     string       `json:"title"`
		Folder    string       `json:"folder,omitempty"`
		Vendor    string       `json:"vendor,omitempty"`
		Fields    []fieldWire  `json:"fields"`
		Version   int64        `json:"version"`
		Critical  bool         `json:"critical"`
		Sensitive bool         `json:"sensitive"`
		Rotate    int          `json:"rotate_days"`
		Due       *time.Time   `json:"due,omitempty"`
		Changed   time.Time    `json:"changed"`
		By        string       `json:"changed_by"`
		Deleted   *time.Time   `json:"deleted,omitempty"`
		Level     string       `json:"level,omitempty"` // the reader's own
		Holders   []holderWire `json:"holders"`
		Out       *outWire     `json:"checked_out,omitempty"`
		Files     []fileWire   `json:"files,omitempty"`
		Links     []linkWire   `json:"links,omitempty"`
	}
	itemsOut struct {
		Items []itemWire `json:"items"`
	}
	versionWire struct {
		Version int64     `json:"version"`
		At      time.Time `json:"at"`
		By      string    `json:"by"`
		Fields  []string  `json:"fields"`
	}
	itemOut struct {
		Item    itemWire      `json:"item"`
		History []versionWire `json:"history"`
	}
	customIn struct {
		ID     string       `json:"id,omitzero"`
		Label  string       `json:"label"`
		Secret bool         `json:"secret,omitzero"`
		Value  *secret.Text `json:"value,omitzero"` // left out: as it is
	}
	itemIn struct {
		Kind      string                 `json:"kind,omitzero"` // of a new item
		Title     string                 `json:"title"`
		Folder    string                 `json:"folder,omitzero"`
		Vendor    string                 `json:"vendor,omitzero"`
		Values    map[string]secret.Text `json:"values,omitzero"` // left out: as it is; "": taken out
		Custom    []customIn             `json:"custom,omitzero"` // all of them
		Critical  bool                   `json:"critical,omitzero"`
		Sensitive bool                   `json:"sensitive,omitzero"`
		Rotate    int                    `json:"rotate_days,omitzero"`
		Owners    []string               `json:"owners,omitzero"`  // of a new item; none = whoever asks
		Version   int64                  `json:"version,omitzero"` // of a change: the one it was made of; 0 = whichever there is
	}
	restoreIn struct {
		Version int64 `json:"version,omitzero"` // 0 = take a deletion back
	}
	revealIn struct {
		Field  string `json:"field"`
		Reason string `json:"reason,omitzero"`
	}
	codeIn struct {
		Reason string `json:"reason,omitzero"`
	}
	revealedOut struct {
		Field string `json:"field"`
		Value string `json:"value"`
	}
	codeOut struct {
		Code string `json:"code"`
		Left int    `json:"seconds_left"`
	}
	shareIn struct {
		With  string `json:"with"` // address, handle, role:NAME, team
		Level string `json:"level"`
	}
	linkIn struct {
		Fields  []string `json:"fields"`
		Minutes int      `json:"minutes,omitzero"` // 0 = 24 hours
		Reason  string   `json:"reason,omitzero"`
	}
	linkOut struct {
		URL  string   `json:"url"` // shown this once
		Link linkWire `json:"link"`
	}
	outIn struct {
		Reason  string `json:"reason"`
		Minutes int    `json:"minutes,omitzero"` // 0 = one hour
	}
	fileIn struct {
		Name string      `json:"name"`
		Body secret.Text `json:"body"` // base64
	}
	fileOut struct {
		Name string `json:"name"`
		Body []byte `json:"body"` // base64
	}
	generateIn struct {
		Length  int      `json:"length,omitzero"`
		Classes []string `json:"classes,omitzero"`
		Words   int      `json:"words,omitzero"`
		Between string   `json:"between,omitzero"`
	}
	generatedOut struct {
		Password string `json:"password"`
		Bits     int    `json:"bits"`
	}
	foundWire struct {
		ID    string   `json:"id"`
		Title string   `json:"title"`
		What  []string `json:"what"`
	}
	reportOut struct {
		Looked int         `json:"looked_at"`
		Found  []foundWire `json:"found"`
	}
)

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Service) wire(r *http.Request, i Item) itemWire {
	out := itemWire{ID: i.ID, Kind: i.Kind, Title: i.Title, Folder: i.Folder, Vendor: i.Vendor, Fields: []fieldWire{}, Version: i.Version, Critical: i.Critical, Sensitive: i.Sensitive,
		Rotate: i.Rotate, Due: some(i.Due), Changed: i.Changed, By: i.ChangedBy, Deleted: some(i.Deleted), Level: string(i.Level), Holders: []holderWire{}}
	for _, f := range i.Fields {
		out.Fields = append(out.Fields, fieldWire(f))
	}
	for _, h := range i.Holders {
		out.Holders = append(out.Holders, holderWire{h.Who, s.Party(r.Context(), h.Who), string(h.Level), h.Since})
	}
	if i.Out != nil {
		out.Out = &outWire{i.Out.Person, s.People.Name(r.Context(), i.Out.Person), i.Out.Until}
	}
	for _, f := range i.Files {
		out.Files = append(out.Files, fileWire{f.ID, f.Name, f.Size, f.Added})
	}
	for _, l := range i.Links {
		out.Links = append(out.Links, s.wireLink(l))
	}
	return out
}

func (s *Service) wireLink(l Link) linkWire {
	return linkWire{l.ID, l.Fields, l.Until, l.State(s.Now()), some(l.Opened), l.Opener, l.Again}
}

func (in itemIn) draft() Draft {
	d := Draft{Kind: in.Kind, Title: in.Title, Folder: in.Folder, Vendor: in.Vendor, Values: in.Values, Critical: in.Critical, Sensitive: in.Sensitive, Rotate: in.Rotate, Version: in.Version}
	for _, c := range in.Custom {
		d.Custom = append(d.Custom, Custom(c))
	}
	return d
}

func (s *Service) getItems(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	list, err := s.List(r.Context(), who, Query{Text: q.Get("q"), Folder: q.Get("folder"), Kind: q.Get("kind"), Deleted: q.Get("deleted") != ""})
	if err != nil {
		return err
	}
	out := itemsOut{Items: []itemWire{}}
	for _, i := range list {
		out.Items = append(out.Items, s.wire(r, i))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[itemIn](r)
	if err != nil {
		return err
	}
	i, err := s.Create(r.Context(), who, NewItem{Draft: in.draft(), Owners: in.Owners})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, s.wire(r, i))
}

func (s *Service) getItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	i, err := s.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	past, err := s.History(r.Context(), who, i.ID)
	if err != nil {
		return err
	}
	out := itemOut{Item: s.wire(r, i), History: []versionWire{}}
	for _, v := range past {
		out.History = append(out.History, versionWire(v))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// answered writes the item that an act left, or its refusal.
func (s *Service) answered(w http.ResponseWriter, r *http.Request, i Item, err error) error {
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.wire(r, i))
}

func gone(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) putItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[itemIn](r)
	if err != nil {
		return err
	}
	i, err := s.Edit(r.Context(), who, r.PathValue("id"), in.draft())
	return s.answered(w, r, i, err)
}

func (s *Service) deleteItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return gone(w, s.Delete(r.Context(), who, r.PathValue("id")))
}

func (s *Service) postRestore(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[restoreIn](r)
	if err != nil {
		return err
	}
	if in.Version == 0 {
		i, err := s.Undelete(r.Context(), who, r.PathValue("id"))
		return s.answered(w, r, i, err)
	}
	i, err := s.Restore(r.Context(), who, r.PathValue("id"), in.Version)
	return s.answered(w, r, i, err)
}

func (s *Service) postReveal(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[revealIn](r)
	if err != nil {
		return err
	}
	v, err := s.Reveal(r.Context(), who, r.PathValue("id"), in.Field, in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, revealedOut{v.Field.ID, v.Text.Reveal()})
}

func (s *Service) postCode(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[codeIn](r)
	if err != nil {
		return err
	}
	v, err := s.Code(r.Context(), who, r.PathValue("id"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, codeOut{v.Text.Reveal(), int(v.Left / time.Second)})
}

func (s *Service) postShare(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[shareIn](r)
	if err != nil {
		return err
	}
	i, err := s.Share(r.Context(), who, r.PathValue("id"), in.With, Level(in.Level))
	return s.answered(w, r, i, err)
}

func (s *Service) deleteShare(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	_, err := s.Unshare(r.Context(), who, r.PathValue("id"), r.URL.Query().Get("from"))
	return gone(w, err)
}

func minutes(n int, none time.Duration) time.Duration {
	if n == 0 {
		return none
	}
	return time.Duration(min(n, 1<<20)) * time.Minute
}

func (s *Service) postLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[linkIn](r)
	if err != nil {
		return err
	}
	l, url, err := s.MakeLink(r.Context(), who, r.PathValue("id"), in.Fields, minutes(in.Minutes, longestLink), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, linkOut{url, s.wireLink(l)})
}

func (s *Service) deleteLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return gone(w, s.EndLink(r.Context(), who, r.PathValue("id"), r.PathValue("link")))
}

func (s *Service) postOut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[outIn](r)
	if err != nil {
		return err
	}
	i, err := s.CheckOut(r.Context(), who, r.PathValue("id"), in.Reason, minutes(in.Minutes, time.Hour))
	return s.answered(w, r, i, err)
}

func (s *Service) deleteOut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return gone(w, s.CheckIn(r.Context(), who, r.PathValue("id")))
}

func (s *Service) postFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[fileIn](r)
	if err != nil {
		return err
	}
	body, err := unbase64("file", in.Body)
	if err != nil {
		return err
	}
	f, err := s.Attach(r.Context(), who, r.PathValue("id"), in.Name, body)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, fileWire{f.ID, f.Name, f.Size, f.Added})
}

func (s *Service) postReadFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[codeIn](r)
	if err != nil {
		return err
	}
	f, body, err := s.Download(r.Context(), who, r.PathValue("id"), r.PathValue("file"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, fileOut{f.Name, body.Reveal()})
}

func (s *Service) deleteFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return gone(w, s.Detach(r.Context(), who, r.PathValue("id"), r.PathValue("file")))
}

func (s *Service) postGenerate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[generateIn](r)
	if err != nil {
		return err
	}
	g, err := s.Generate(r.Context(), who, Recipe(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, generatedOut{g.Text.Reveal(), int(g.Bits)})
}

func (s *Service) getReport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	found, looked, err := s.Report(r.Context(), who)
	if err != nil {
		return err
	}
	out := reportOut{Looked: looked, Found: []foundWire{}}
	for _, f := range found {
		out.Found = append(out.Found, foundWire{f.ID, f.Title, f.What})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

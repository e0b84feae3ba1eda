package sample

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// named are records as Writ-Record tells of them: what an answer shows stands in Writ's record
// of accesses, so that one day it can be told whose data somebody saw.
func named(cs []Contact) string {
	var out []string
	for _, c := range cs {
		out = append(out, "contact="+strconv.Itoa(c.ID))
	}
	return strings.Join(out, ", ")
}

// whose tells Writ, and nobody else, whom records are about. Who was erased is not there any
// more: then nobody is named.
func (a *App) whose(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "at most 1 MiB"})
		return
	}
	sum := sha256.Sum256(body)
	if c, ok := a.who(r); !ok || c.Kind != "writ" || c.Body != base64.RawURLEncoding.EncodeToString(sum[:]) {
		reply(w, http.StatusForbidden, map[string]string{"error": "Writ alone asks this"})
		return
	}
	type person struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	type record struct {
		Team   string   `json:"team"`
		Record string   `json:"record"`
		People []person `json:"people"`
	}
	var in struct{ Records []record }
	if err := json.Unmarshal(body, &in); err != nil || len(in.Records) > 500 {
		reply(w, http.StatusBadRequest, map[string]string{"error": "at most 500 records"})
		return
	}
	out := []record{}
	teams := map[string]map[string]Contact{}
	for _, x := range in.Records {
		id, ok := strings.CutPrefix(x.Record, "contact=")
		if !ok { // it is none of ours: nothing is said of it
			continue
		}
		if teams[x.Team] == nil {
			cs, err := a.store.Contacts(r.Context(), x.Team)
			if err != nil {
				fmt.Fprintln(os.Stderr, "sample:", err)
				reply(w, http.StatusInternalServerError, map[string]string{"error": "the contacts cannot be read"})
				return
			}
			teams[x.Team] = map[string]Contact{}
			for _, c := range cs {
				teams[x.Team][strconv.Itoa(c.ID)] = c
			}
		}
		x.People = []person{}
		if c, is := teams[x.Team][id]; is {
			x.People = append(x.People, person{x.Record, c.Name, c.Email})
		}
		out = append(out, x)
	}
	reply(w, http.StatusOK, map[string]any{"records": out})
}

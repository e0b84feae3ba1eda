package bring

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// columns are the names that keepers and browsers give the same thing.
var columns = map[string]string{
	"title": "title", "name": "title", "account": "title",
	"url": "url", "urls": "url", "website": "url", "login_uri": "url", "web site": "url", "origin_url": "url", "formactionorigin": "",
	"username": "user", "login_username": "user", "user name": "user", "login name": "user", "user": "user",
	"password": "password", "login_password": "password",
	"otpauth": "totp", "login_totp": "totp", "totp": "totp", "one-time password": "totp",
	"notes": "notes", "note": "notes", "comments": "notes", "extra": "notes",
	"folder": "folder", "group": "folder", "vault": "folder", "tags": "folder",
	"type": "type", "fields": "more",
	"httprealm": "", "guid": "", "timecreated": "", "timelastused": "", "timepasswordchanged": "", "favorite": "", "archived": "", "reprompt": "", "collections": "",
}

// readTable reads a CSV with a head line, by the names of its columns.
func readTable(file []byte) ([]Row, error) {
	r := csv.NewReader(bytes.NewReader(trimMark(file)))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, bad("The file is no table: its first line names no columns.")
	}
	names := make([]string, len(head))
	known := map[string]bool{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		name, ok := columns[h]
		if !ok {
			name = "+" + strings.TrimSpace(head[i]) // kept under its own name
		}
		names[i], known[name] = name, true
	}
	if !known["password"] && !known["notes"] {
		return nil, bad("The file is no table of passwords: its first line names no column of them.")
	}
	var rows []Row
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if len(rows) == MaxRows {
			return nil, tooMany()
		}
		row := Row{}
		switch {
		case err != nil:
			var pe *csv.ParseError
			line := 0
			if errors.As(err, &pe) {
				line = pe.Line
			}
			return nil, bad(fmt.Sprintf("Line %d of the file is not written as a line of a table.", line))
		case len(rec) > len(names):
			row.Problem = "it has more columns than the first line names"
		default:
			row.Item = tableItem(names, rec)
		}
		rows = append(rows, row)
	}
}

func tableItem(names, rec []string) (i Item) {
	for c, v := range rec {
		switch name := names[c]; name {
		case "title", "folder", "user":
			into := map[string]*string{"title": &i.Title, "folder": &i.Folder, "user": &i.User}[name]
			if *into == "" {
				*into = strings.TrimSpace(v)
			}
		case "url":
			i.URLs = append(i.URLs, strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })...)
		case "password", "totp", "notes":
			i.put(name, v)
		case "type":
			if strings.EqualFold(v, "note") {
				i.Kind = "note"
			}
		case "more": // Bitwarden: "name: value" on lines
			for line := range strings.Lines(v) {
				label, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				i.more(label, value, true)
			}
		default:
			if label, own := strings.CutPrefix(name, "+"); own && label != "" {
				i.more(label, v, true)
			}
		}
	}
	i.asNote()
	return i
}

// asNote moves a note's text to where a note has it.
func (i *Item) asNote() {
	if i.Kind == "note" {
		if t, ok := i.Secrets["notes"]; ok {
			delete(i.Secrets, "notes")
			i.Secrets["text"] = t
		}
	}
}

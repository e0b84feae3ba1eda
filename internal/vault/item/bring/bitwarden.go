package bring

import (
	"cmp"
	"strings"
)

type bwItem struct {
	Type          int      `json:"type"` // 1 login, 2 note, 3 card, 4 identity, 5 SSH key
	Name          string   `json:"name"`
	Notes         string   `json:"notes"`
	FolderID      string   `json:"folderId"`
	CollectionIDs []string `json:"collectionIds"`
	DeletedDate   *string  `json:"deletedDate"`
	Fields        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		Type  int    `json:"type"` // 0 text, 1 hidden, 2 yes or no
	} `json:"fields"`
	Login *struct {
		URIs []struct {
			URI string `json:"uri"`
		} `json:"uris"`
		Username string `json:"username"`
		Password string `json:"password"`
		TOTP     string `json:"totp"`
	} `json:"login"`
	SSHKey *struct {
		PrivateKey string `json:"privateKey"`
		PublicKey  string `json:"publicKey"`
	} `json:"sshKey"`
}

func readBitwarden(file []byte) ([]Row, error) {
	s := newStream(trimMark(file))
	encrypted, folders := false, map[string]string{}
	var rows []Row
	var within [][]string // of each row: ids of folders, which may be named after it
	err := s.whole(func(key string) error {
		switch key {
		case "encrypted":
			return s.one(&encrypted)
		case "folders", "collections":
			return s.each('[', func(string) error {
				var f struct{ ID, Name string }
				if len(folders) == MaxRows {
					return errMany
				}
				err := s.one(&f)
				folders[f.ID] = f.Name
				return err
			})
		case "items":
			return s.each('[', func(string) error {
				var i bwItem
				if len(rows) == MaxRows {
					return errMany
				}
				err := s.one(&i)
				rows, within = append(rows, i.row()), append(within, append([]string{i.FolderID}, i.CollectionIDs[:min(len(i.CollectionIDs), maxInner)]...))
				return err
			})
		}
		return s.skip()
	})
	if encrypted {
		return nil, bad("The export is encrypted. Export it again as JSON that is not, and delete that file afterwards.")
	}
	if err != nil {
		return nil, told(err, "The file is not the JSON of Bitwarden.")
	}
	for n, ids := range within {
		for _, id := range ids {
			rows[n].Folder = cmp.Or(rows[n].Folder, folders[id])
		}
	}
	return rows, nil
}

func (b bwItem) row() Row {
	r := Row{Item: Item{Title: strings.TrimSpace(b.Name)}}
	switch {
	case len(b.Fields)+len(b.CollectionIDs) > maxInner || b.Login != nil && len(b.Login.URIs) > maxInner:
		r.Problem = tooMuch
	case b.Type == 3:
		r.Problem = "it is a payment card, and no card data is kept"
	case b.Type == 4:
		r.Problem = "it is a person's identity, which has no place in a company's vault"
	case b.DeletedDate != nil:
		r.Problem = "it is deleted there"
	}
	if r.Problem != "" {
		return r
	}
	r.put("notes", b.Notes)
	switch {
	case b.Type == 2:
		r.Kind = "note"
		r.asNote()
	case b.SSHKey != nil:
		r.Kind = "ssh-key"
		r.put("private", b.SSHKey.PrivateKey)
		r.more("Public key", b.SSHKey.PublicKey, false)
	case b.Login != nil:
		r.User = b.Login.Username
		r.put("password", b.Login.Password)
		r.put("totp", b.Login.TOTP)
		for _, u := range b.Login.URIs {
			if u.URI != "" {
				r.URLs = append(r.URLs, u.URI)
			}
		}
	}
	for _, f := range b.Fields {
		r.more(f.Name, f.Value, f.Type == 1)
	}
	return r
}

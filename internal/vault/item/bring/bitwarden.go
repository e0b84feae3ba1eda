package bring

import (
	"encoding/json"
	"strings"
)

type bitwarden struct {
	Encrypted   bool     `json:"encrypted"`
	Folders     []bwName `json:"folders"`
	Collections []bwName `json:"collections"`
	Items       []bwItem `json:"items"`
}

type bwName struct{ ID, Name string }

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
	var doc bitwarden
	if err := json.Unmarshal(trimMark(file), &doc); err != nil {
		return nil, bad("The file is not the JSON of Bitwarden.")
	}
	if doc.Encrypted {
		return nil, bad("The export is encrypted. Export it again as JSON that is not, and delete that file afterwards.")
	}
	if len(doc.Items) > MaxRows {
		return nil, tooMany()
	}
	folders := map[string]string{}
	for _, f := range append(doc.Collections, doc.Folders...) {
		folders[f.ID] = f.Name
	}
	rows := make([]Row, 0, len(doc.Items))
	for _, i := range doc.Items {
		rows = append(rows, i.row(folders))
	}
	return rows, nil
}

func (b bwItem) row(folders map[string]string) Row {
	r := Row{Item: Item{Title: strings.TrimSpace(b.Name), Folder: folders[b.FolderID]}}
	for _, c := range b.CollectionIDs {
		if r.Folder == "" {
			r.Folder = folders[c]
		}
	}
	switch {
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

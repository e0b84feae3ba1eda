package item

import (
	"writ/internal/envelope"
	"writ/internal/vault/keys"
)

// Stores are the sealed columns of items, for whoever seals them anew after an exposure.
func Stores() []keys.Store {
	one := func(column string) func(string, string, int64, string) envelope.AAD {
		return func(team, row string, version int64, _ string) envelope.AAD { return place(column, team, row, version) }
	}
	field := func(team, row string, version int64, part string) envelope.AAD {
		return fieldAt(team, row, part, version)
	}
	content, seed := contentKey("").Kind, seedKey("").Kind
	return []keys.Store{
		{Data: "items", Kind: content, Place: one("vault_item.head"),
			List: `SELECT id, version, '', head FROM vault_item WHERE team = $1 AND substr(head, 3, 32) <> $2 AND (id, version, '') > ($3, $4, $5) ORDER BY id, version LIMIT $6`,
			Put:  `UPDATE vault_item SET head = $4 WHERE id = $1 AND version = $2 AND $3 = '' AND head = $5`},
		{Data: "versions of items", Kind: content, Place: one("vault_item_version.head"),
			List: `SELECT v.item, v.version, '', v.head FROM vault_item_version v JOIN vault_item i ON i.id = v.item
				WHERE i.team = $1 AND substr(v.head, 3, 32) <> $2 AND (v.item, v.version, '') > ($3, $4, $5) ORDER BY v.item, v.version LIMIT $6`,
			Put: `UPDATE vault_item_version SET head = $4 WHERE item = $1 AND version = $2 AND $3 = '' AND head = $5`},
		{Data: "secrets of items", Kind: content, Place: field, List: listFields + `f.field <> '` + seedField + `'` + restFields, Put: putField},
		{Data: "seeds of codes", Kind: seed, Place: field, List: listFields + `f.field = '` + seedField + `'` + restFields, Put: putField},
		{Data: "names of files", Kind: content, Place: one("vault_item_file.name"),
			List: listFiles + `substr(f.name, 3, 32) <> $2` + restFiles, Put: `UPDATE vault_item_file SET name = $4 WHERE id = $1 AND $2 = 1 AND $3 = '' AND name = $5`},
		{Data: "files", Kind: content, Few: true, Place: one("vault_item_file.body"),
			List: listBodies + `substr(f.body, 3, 32) <> $2` + restFiles, Put: `UPDATE vault_item_file SET body = $4 WHERE id = $1 AND $2 = 1 AND $3 = '' AND body = $5`},
	}
}

const (
	listFields = `SELECT f.item, f.version, f.field, f.value FROM vault_item_field f JOIN vault_item i ON i.id = f.item WHERE i.team = $1 AND `
	restFields = ` AND substr(f.value, 3, 32) <> $2 AND (f.item, f.version, f.field) > ($3, $4, $5) ORDER BY f.item, f.version, f.field LIMIT $6`
	putField   = `UPDATE vault_item_field SET value = $4 WHERE item = $1 AND version = $2 AND field = $3 AND value = $5`
	listFiles  = `SELECT f.id, 1, '', f.name FROM vault_item_file f JOIN vault_item i ON i.id = f.item WHERE i.team = $1 AND `
	listBodies = `SELECT f.id, 1, '', f.body FROM vault_item_file f JOIN vault_item i ON i.id = f.item WHERE i.team = $1 AND `
	restFiles  = ` AND (f.id, 1, '') > ($3, $4, $5) ORDER BY f.id LIMIT $6`
)

package item

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Revealed is one value that somebody was given.
type Revealed struct {
	Field   Field
	Version int64
	Text    secret.Text
	Left    time.Duration // of a one-time code: how long it is good
}

// Reveal hands out one secret field. The entry is committed before the value leaves, and
// only if the item is still the reader's at that moment.
func (s *Service) Reveal(ctx context.Context, who actor.Actor, id, field, reason string) (Revealed, error) { // clause: vault.access-logged
	if field == seedField { // clause: vault.company-creds
		if _, err := s.guard(ctx, who, access.VaultReveal, id, Viewer); err != nil {
			return Revealed{}, err
		}
		return Revealed{}, s.DB.Refuse(ctx, who, ItemRefused{Item: id, Code: "seed"}, fault.New(fault.Denied, "seed_kept", fault.Public{
			Problem: "The seed of one-time codes is handed out to nobody.", Expected: "A code of this half minute.", Next: "Ask for the code."}))
	}
	return s.give(ctx, who, id, field, reason, func(it row, f Field, text secret.Text, why string) (Revealed, ledger.Event, error) {
		return Revealed{Field: f, Version: it.Version, Text: text}, ItemRevealed{Item: id, Field: field, Version: it.Version, why: why}, nil
	})
}

// Code hands out the one-time code of this moment, and never what it is made of.
func (s *Service) Code(ctx context.Context, who actor.Actor, id, reason string) (Revealed, error) { // clause: vault.access-logged
	return s.give(ctx, who, id, seedField, reason, func(it row, f Field, text secret.Text, why string) (Revealed, ledger.Event, error) {
		sd, err := parseSeed(text)
		if err != nil {
			return Revealed{}, nil, fmt.Errorf("read a kept seed: %w", err)
		}
		code, left, err := sd.code(s.Now())
		return Revealed{Field: f, Version: it.Version, Text: code, Left: left}, CodeServed{Item: id, Version: it.Version, why: why}, err
	})
}

// give opens a field and records that it is given, by what make says of it.
func (s *Service) give(ctx context.Context, who actor.Actor, id, field, reason string, make func(row, Field, secret.Text, string) (Revealed, ledger.Event, error)) (Revealed, error) {
	it, err := s.guard(ctx, who, access.VaultReveal, id, Viewer)
	if err != nil {
		return Revealed{}, err
	}
	if err := it.free(who, s.Now()); err != nil {
		return Revealed{}, err
	}
	why, err := reasonOf(reason, it.Critical || it.Sensitive)
	if err != nil {
		return Revealed{}, err
	}
	if err := s.readHead(ctx, &it); err != nil {
		return Revealed{}, err
	}
	f, ok := it.Field(field)
	if !ok || !f.Secret {
		return Revealed{}, fault.New(fault.NotFound, "field_unknown", fault.Public{Problem: "The item has no such secret.", Next: "Look at the item."})
	}
	text, origin, err := s.fieldOf(ctx, it, field)
	if err != nil {
		return Revealed{}, err
	}
	out, ev, err := make(it, f, text, why)
	if err != nil {
		return Revealed{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Viewer); err != nil {
			return nil, err
		}
		return ev, s.Sight.Saw(ctx, tx, who, thing(id)+"/"+field, origin)
	})
	if err != nil {
		return Revealed{}, fmt.Errorf("record a reveal: %w", err)
	}
	return out, nil
}

// fieldOf opens one secret of the newest version.
func (s *Service) fieldOf(ctx context.Context, it row, field string) (secret.Text, int64, error) {
	var box []byte
	var origin int64
	if err := ledger.One(ctx, s.DB, oneField, []any{&origin, &box}, it.ID, it.Version, field); err != nil {
		return secret.Text{}, 0, fmt.Errorf("read a secret: %w", err)
	}
	b, err := s.open(ctx, fieldAt(it.team, it.ID, field, it.Version), box)
	if err != nil {
		return secret.Text{}, 0, err
	}
	defer b.Wipe()
	return secret.NewText(string(b.Reveal())), origin, nil
}

// File is one that is attached to an item.
type File struct {
	ID, Name string
	Size     int64
	Added    time.Time
	By       string
}

// Attach seals a file into an item.
func (s *Service) Attach(ctx context.Context, who actor.Actor, id, name string, body secret.Bytes) (File, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, Editor)
	if err != nil {
		return File{}, err
	}
	n, err := fileOf(name, body)
	if err != nil {
		return File{}, err
	}
	f, err := s.sealFile(ctx, who, it.team, n)
	if err != nil {
		return File{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Editor); err != nil {
			return nil, err
		}
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM vault_item_file WHERE item = $1`, []any{&n}, id); err != nil {
			return nil, err
		}
		if n >= maxFiles {
			return nil, invalid("file", "file_many", fmt.Sprintf("An item has at most %d files.", maxFiles))
		}
		return s.putFile(ctx, tx, who, id, &f)
	})
	if err != nil {
		return File{}, fmt.Errorf("attach a file: %w", err)
	}
	return f.File, nil
}

// newFile is one that may be attached.
type newFile struct {
	name string
	body secret.Bytes
}

// fileOf refuses what is no file of an item.
func fileOf(name string, body secret.Bytes) (newFile, error) {
	name = tidy(name[strings.LastIndexAny(name, `/\`)+1:])
	switch {
	case name == "" || len(name) > maxTitle:
		return newFile{}, invalid("file", "file_name", fmt.Sprintf("The file's name has 1 to %d characters.", maxTitle))
	case body.Len() == 0 || body.Len() > MaxFile:
		return newFile{}, invalid("file", "file_size", "A file has 1 byte to 1 MiB.")
	}
	for _, text := range []string{name, string(body.Reveal())} {
		if err := noCard("file", text); err != nil {
			return newFile{}, err
		}
	}
	return newFile{name, body}, nil
}

type sealedFile struct {
	File
	head, box []byte
}

func (s *Service) sealFile(ctx context.Context, who actor.Actor, team string, n newFile) (sealedFile, error) {
	k, err := s.Keys.Ensure(ctx, contentKey(team))
	if err != nil {
		return sealedFile{}, fmt.Errorf("seal a file: %w", err)
	}
	f := sealedFile{File: File{ID: s.DB.ID(), Name: n.name, Size: int64(n.body.Len()), By: who.String()}}
	f.head = k.Seal(pad([]byte(n.name)), place("vault_item_file.name", team, f.ID, 1))
	f.box = k.Seal(pad(n.body.Reveal()), place("vault_item_file.body", team, f.ID, 1))
	return f, nil
}

// putFile stores a file, and that whoever brought it knows it.
func (s *Service) putFile(ctx context.Context, tx *ledger.Tx, who actor.Actor, id string, f *sealedFile) (ledger.Event, error) {
	f.Added = tx.Now()
	_, err := tx.Exec(ctx, insertFile, f.ID, id, f.head, f.box, f.Size, us(f.Added), f.By)
	if err == nil && who.Kind == actor.Person {
		err = s.Sight.Saw(ctx, tx, who, thing(id)+"/"+f.ID, 1)
	}
	return FileAttached{Item: id, File: f.ID, Size: f.Size}, err
}

// Download hands out a file as Reveal does a field.
func (s *Service) Download(ctx context.Context, who actor.Actor, id, file, reason string) (File, secret.Bytes, error) { // clause: vault.access-logged
	it, err := s.guard(ctx, who, access.VaultReveal, id, Viewer)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	if err := it.free(who, s.Now()); err != nil {
		return File{}, secret.Bytes{}, err
	}
	why, err := reasonOf(reason, it.Critical || it.Sensitive)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	f, body, err := s.file(ctx, it, file)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Viewer); err != nil {
			return nil, err
		}
		return ItemRevealed{Item: id, Field: file, Version: it.Version, why: why}, s.Sight.Saw(ctx, tx, who, thing(id)+"/"+file, 1)
	})
	if err != nil {
		return File{}, secret.Bytes{}, fmt.Errorf("record a download: %w", err)
	}
	return f, body, nil
}

func (s *Service) file(ctx context.Context, it row, file string) (File, secret.Bytes, error) {
	fs, err := s.files(ctx, it)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	n := slices.IndexFunc(fs, func(f File) bool { return f.ID == file })
	if n < 0 {
		return File{}, secret.Bytes{}, noFile()
	}
	var box []byte
	if err := ledger.One(ctx, s.DB, `SELECT body FROM vault_item_file WHERE id = $1`, []any{&box}, file); err != nil {
		return File{}, secret.Bytes{}, err
	}
	body, err := s.open(ctx, place("vault_item_file.body", it.team, file, 1), box)
	return fs[n], body, err
}

func noFile() error {
	return fault.New(fault.NotFound, "file_unknown", fault.Public{Problem: "The item has no such file.", Next: "Look at the item."})
}

// Detach removes a file; it is gone at once. Under a legal hold it stays.
func (s *Service) Detach(ctx context.Context, who actor.Actor, id, file string) error {
	it, err := s.guard(ctx, who, access.VaultItems, id, Editor)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Editor); err != nil {
			return nil, err
		}
		if err := s.stays(ctx, tx, it.team); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, `DELETE FROM vault_item_file WHERE item = $1 AND id = $2`, id, file)
		if err == nil && n == 0 {
			err = noFile()
		}
		if err == nil {
			err = vault.Unseen(ctx, tx, thing(id)+"/"+file)
		}
		return FileRemoved{Item: id, File: file}, err
	})
	if vault.IsHeld(err) {
		return s.DB.Refuse(ctx, who, ItemRefused{Item: id, Code: "held"}, err)
	}
	if err != nil {
		return fmt.Errorf("remove a file: %w", err)
	}
	return nil
}

// files are those of an item, without what is in them.
func (s *Service) files(ctx context.Context, it row) (out []File, err error) {
	var boxes [][]byte
	err = s.DB.Each(ctx, selectFiles, func(scan ledger.Scan) error {
		var f File
		var box []byte
		err := scan(&f.ID, &box, &f.Size, micros{&f.Added}, &f.By)
		out, boxes = append(out, f), append(boxes, box)
		return err
	}, it.ID)
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	for i := range out {
		b, err := s.open(ctx, place("vault_item_file.name", it.team, out[i].ID, 1), boxes[i])
		if err != nil {
			return nil, err
		}
		out[i].Name = string(b.Reveal())
	}
	return out, nil
}

const (
	oneField    = `SELECT origin, value FROM vault_item_field WHERE item = $1 AND version = $2 AND field = $3`
	insertFile  = `INSERT INTO vault_item_file (id, item, name, body, size, added, by_) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectFiles = `SELECT id, name, size, added, by_ FROM vault_item_file WHERE item = $1 ORDER BY added, id`
)

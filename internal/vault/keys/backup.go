package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// The database of keys has backups of its own, each under a key that is destroyed when its
// time is over: so the day on which the last copy of a destroyed key dies is known, and a
// certificate may say it.
//
//	each hour ─► epochs that are over end (entry) ─► something changed? ─► a backup (entry)
//	certificate: the epochs that hold the key, and the day ─► probe: none of them is left then

// slack is how long after an epoch's end its key is gone at the latest; certificates say
// the end with it.
const slack = 24 * time.Hour

// KeysBackedUp is a backup of the database of keys.
type KeysBackedUp struct {
	Epoch string    `class:"public"`
	Bytes int64     `class:"public"`
	Ends  time.Time `class:"public"` // when the key that it is sealed under is destroyed
}

// About implements ledger.Event.
func (e KeysBackedUp) About() ledger.About {
	return ledger.About{Name: "vault.keys-backed-up", Clause: erasure, Object: "epoch/" + e.Epoch}
}

// KeyBackupsEnded is an epoch whose key is destroyed: none of its backups opens any more.
type KeyBackupsEnded struct {
	Epoch string    `class:"public"`
	Begun time.Time `class:"public"`
	Ends  time.Time `class:"public"` // as was said; earlier where the root key was replaced
}

// About implements ledger.Event.
func (e KeyBackupsEnded) About() ledger.About {
	return ledger.About{Name: "vault.key-backups-ended", Clause: erasure, Object: "epoch/" + e.Epoch}
}

// BackUp is the work by the clock: what is over ends, and what changed is backed up.
func (s *Service) BackUp(ctx context.Context) error { // clause: data.crypto-erase
	who := actor.System("vault-keys")
	if err := s.endBackups(ctx, who); err != nil {
		return err
	}
	shelf, err := s.Ring.Shelf()
	if errors.Is(err, fault.Conflict) {
		return nil // of a shared database without a folder; the control says so
	}
	if err != nil {
		return err
	}
	turn, err := s.Ring.Turn(ctx)
	if err != nil {
		return err
	}
	s.backing.Lock()
	defer s.backing.Unlock()
	all, err := shelf.Epochs()
	if err != nil {
		return err
	}
	if n := len(all); n > 0 && all[n-1].File != "" && turn == s.backedTurn && s.Now().Sub(all[n-1].Begun) < 24*time.Hour {
		return nil
	}
	_, err = s.backUp(ctx, who, shelf, turn)
	return err
}

// backUp makes a backup and records it.
func (s *Service) backUp(ctx context.Context, who actor.Actor, shelf *keyring.Shelf, turn int64) (keyring.Epoch, error) {
	e, err := shelf.Make(ctx)
	if err != nil {
		return e, err
	}
	s.backedTurn = turn
	return e, s.record(ctx, who, KeysBackedUp{Epoch: e.ID, Bytes: e.Size, Ends: e.Ends})
}

// endBackups destroys the keys of epochs that are over.
func (s *Service) endBackups(ctx context.Context, who actor.Actor) error {
	shelf, err := s.Ring.Shelf()
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err != nil {
		return err
	}
	ended, err := shelf.End(ctx)
	for _, e := range ended {
		err = errors.Join(err, s.record(ctx, who, KeyBackupsEnded{Epoch: e.ID, Begun: e.Begun, Ends: e.Ends}))
	}
	return err
}

// MakeBackup backs the keys up now.
func (s *Service) MakeBackup(ctx context.Context, who actor.Actor) (keyring.Epoch, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRotate, ""); err != nil {
		return keyring.Epoch{}, err
	}
	shelf, err := s.Ring.Shelf()
	if err != nil {
		return keyring.Epoch{}, err
	}
	turn, err := s.Ring.Turn(ctx)
	if err != nil {
		return keyring.Epoch{}, err
	}
	s.backing.Lock()
	defer s.backing.Unlock()
	return s.backUp(context.WithoutCancel(ctx), who, shelf, turn)
}

// Backups lists the epochs that have a backup, the newest first.
func (s *Service) Backups(ctx context.Context, who actor.Actor) ([]keyring.Epoch, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRead, ""); err != nil {
		return nil, err
	}
	shelf, err := s.Ring.Shelf()
	if err != nil {
		return nil, err
	}
	all, err := shelf.Epochs()
	all = slices.DeleteFunc(all, func(e keyring.Epoch) bool { return e.File == "" })
	slices.Reverse(all)
	return all, err
}

// copies is what a certificate says of the backups that hold a key which is destroyed now.
// An epoch is begun before a backup in it reads the keys, so none is missed.
func (s *Service) copies() (map[string]any, error) {
	shelf, err := s.Ring.Shelf()
	if errors.Is(err, fault.Conflict) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := shelf.Epochs()
	if err != nil {
		return nil, err
	}
	ids, last := []any{}, s.Now()
	for _, e := range all {
		ids = append(ids, e.ID)
		if dead := e.Ends.Add(slack); dead.After(last) {
			last = dead
		}
	}
	by := "there are none"
	if len(ids) > 0 {
		by = "each is sealed under the key of its day, which is destroyed by then; a control looks that it is"
	}
	return map[string]any{"where": "backups that this server makes of the database of keys", "dead": rfc(last), "by": by, "epochs": ids}, nil
}

// copiesOf reads from a certificate which epochs hold its keys, and until when.
func copiesOf(body map[string]any) (epochs []string, dead time.Time) {
	all, _ := body["copies"].([]any)
	for _, c := range all {
		c, _ := c.(map[string]any)
		ids, ok := c["epochs"].([]any)
		if !ok {
			continue
		}
		for _, id := range ids {
			id, _ := id.(string)
			epochs = append(epochs, id)
		}
		text, _ := c["dead"].(string)
		dead, _ = time.Parse(time.RFC3339, text)
	}
	return epochs, dead
}

// probeBackups wants each epoch gone by its day, and by the day that a certificate says.
func (s *Service) probeBackups(ctx context.Context) (clause.Result, error) { // clause: data.crypto-erase
	shelf, err := s.Ring.Shelf()
	if errors.Is(err, fault.Conflict) {
		return clause.Passed("this server makes no backups of the keys: they lie in a shared database, and keys.backups names no folder; certificates declare 30 days for whoever makes them"), nil
	}
	if err != nil {
		return clause.Result{}, err
	}
	all, err := shelf.Epochs()
	if err != nil {
		return clause.Result{}, err
	}
	live, late, damaged := map[string]bool{}, 0, 0
	for _, e := range all {
		live[e.ID] = true
		if s.Now().After(e.Ends.Add(slack)) || e.Begun.Sub(s.Now()) > 5*time.Minute {
			late++
		}
	}
	newest := "none"
	if i := slices.IndexFunc(all, func(e keyring.Epoch) bool { return e.File != "" }); i >= 0 {
		last := all[len(all)-1]
		for _, e := range all[i:] {
			if e.File != "" {
				last = e
			}
		}
		n, err := shelf.Check(last.File)
		if errors.Is(err, fault.Invalid) || errors.Is(err, fault.Sealed) || errors.Is(err, fault.Gone) {
			damaged++
		} else if err != nil {
			return clause.Result{}, err
		}
		newest = fmt.Sprintf("of %s with %d keys", last.Made.UTC().Format("2006-01-02 15:04"), n)
	}
	certified, alive, err := s.outlived(ctx, live)
	if err != nil {
		return clause.Result{}, err
	}
	r := clause.Passed(fmt.Sprintf("%d days of backups of the keys have a key, %d of them beyond its end; the newest backup is %s, and %d do not open; of %d certificates %d have a copy alive beyond the day they say",
		len(all), late, newest, damaged, certified, alive))
	if r.Population = int64(len(all)) + certified; late+damaged+alive > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

// outlived counts certificates, and those whose day is over while a key of a backup that
// holds their keys is still there.
func (s *Service) outlived(ctx context.Context, live map[string]bool) (certified int64, alive int, err error) {
	var texts []string
	err = s.DB.Each(ctx, `SELECT certificate FROM vault_shred WHERE state = 'done' ORDER BY id`, func(scan ledger.Scan) error {
		var text string
		err := scan(&text)
		texts = append(texts, text)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read certificates: %w", err)
	}
	for _, text := range texts {
		c, err := ReadCertificate([]byte(text))
		if err != nil {
			continue // the control of certificates says so
		}
		certified++
		if s.Now().After(c.Dead) && slices.ContainsFunc(c.Epochs, func(id string) bool { return live[id] }) {
			alive++
		}
	}
	return certified, alive, nil
}

type (
	backupWire struct {
		Epoch string    `json:"epoch"`
		File  string    `json:"file"` // on the server
		Made  time.Time `json:"made"`
		Ends  time.Time `json:"ends"` // its key is destroyed then
		Bytes int64     `json:"bytes"`
	}
	backupsOut struct {
		Backups []backupWire `json:"backups"`
	}
)

func wireBackup(e keyring.Epoch) backupWire { return backupWire{e.ID, e.File, e.Made, e.Ends, e.Size} }

func (s *Service) getBackups(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Backups(r.Context(), who)
	if err != nil {
		return err
	}
	out := backupsOut{Backups: []backupWire{}}
	for _, e := range all {
		out.Backups = append(out.Backups, wireBackup(e))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postBackup(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	e, err := s.MakeBackup(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireBackup(e))
}

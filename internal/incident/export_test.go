package incident

import (
	"context"
	"errors"
	"time"

	"writ/internal/ledger"
	"writ/internal/secret"
)

// Republish runs the jobs of posts that have no end, as after a crash.
func (s *Service) Republish(ctx context.Context) error {
	var ids []string
	err := s.DB.Each(ctx, `SELECT id FROM incident_post WHERE ended IS NULL ORDER BY id`, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, s.publish(ctx, secret.NewBytes([]byte(id))))
	}
	return err
}

// SheetRow is what a line of another tool's file comes to.
type SheetRow = sheetRow

// ReadSheet reads such a file.
func ReadSheet(file []byte, now time.Time) ([]SheetRow, error) {
	return readSheet(file, []string{"usability", "data-loss", "breach"}, now)
}

// Paced is when a letter may go to a host, at so many a minute.
func Paced(most int64) func(host string, now time.Time) time.Time {
	p := &pacing{}
	return func(host string, now time.Time) time.Time { return p.at(host, now, most) }
}

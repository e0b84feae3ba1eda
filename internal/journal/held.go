package journal

import (
	"context"
	"fmt"
	"strings"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Sealed counts the entries whose hidden values lie under a subject's keys, and gives the
// newest of them as they are: for whoever is about to destroy those keys.
func (j *Journal) Sealed(ctx context.Context, s keyring.Subject, most int, each func(entry string, box []byte)) (n int64, err error) {
	names, err := j.db.Pseudonyms(ctx, s)
	if err != nil {
		return 0, fmt.Errorf("find the entries of a %s: %w", s.Kind, err)
	}
	var marks []string
	var args []any
	for _, p := range names {
		args = append(args, p)
		marks = append(marks, fmt.Sprintf("$%d", len(args)))
	}
	in := "IN (" + strings.Join(marks, ", ") + ")"
	from := ` FROM journal_payload p WHERE p.n IN (SELECT n FROM journal_index WHERE actor ` + in + ` UNION SELECT n FROM journal_index WHERE subject <> '' AND subject ` + in + `)`
	if err := ledger.One(ctx, j.db, `SELECT COUNT(*)`+from, []any{&n}, args...); err != nil {
		return 0, fmt.Errorf("count the entries of a %s: %w", s.Kind, err)
	}
	args = append(args, int64(most))
	err = j.db.Each(ctx, `SELECT p.id, p.box`+from+fmt.Sprintf(` ORDER BY p.n DESC LIMIT $%d`, len(args)), func(scan ledger.Scan) error {
		var id string
		var box []byte
		err := scan(&id, &box)
		each(id, box)
		return err
	}, args...)
	if err != nil {
		return 0, fmt.Errorf("read the entries of a %s: %w", s.Kind, err)
	}
	return n, nil
}

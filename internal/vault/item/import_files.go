package item

import (
	"context"
	"fmt"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/vault"
	"writ/internal/vault/item/bring"
)

// What the files of one import may come to: many entries may name the same one.
const (
	maxImportFiles = 500
	maxImportBytes = 32 << 20
)

// filesRoom is what is left of that.
type filesRoom struct{ files, bytes int }

// take takes the files of an item that can come over, and tells of the others.
func (l *filesRoom) take(files []bring.File) (out []newFile, told []string) { // clause: vault.company-creds
	for _, f := range files {
		n, err := fileOf(f.Name, f.Body)
		_, pub := fault.PublicOf(err)
		switch {
		case err != nil:
			told = append(told, fmt.Sprintf("its file %q is left out: %s", tidy(f.Name), strings.TrimSuffix(lower(pub.Problem), ".")))
		case len(out) == maxFiles:
			told = append(told, fmt.Sprintf("its file %q is left out: an item has at most %d", n.name, maxFiles))
		case l.files == 0 || l.bytes < n.body.Len():
			told = append(told, fmt.Sprintf("its file %q is left out: an import brings at most %d files and %d MiB of them", n.name, maxImportFiles, maxImportBytes>>20))
		default:
			l.files, l.bytes = l.files-1, l.bytes-n.body.Len()
			out = append(out, n)
		}
	}
	return out, told
}

func lower(s string) string { return strings.ToLower(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// stageFiles stores the files of staged items, one a change: each may be large.
func (s *Service) stageFiles(ctx context.Context, who actor.Actor, id string, made []prepared) error {
	for _, p := range made {
		for _, n := range p.files {
			f, err := s.sealFile(ctx, who, vault.TeamOf(who), n)
			if err != nil {
				return err
			}
			if _, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
				rows, err := tx.Exec(ctx, `UPDATE vault_item SET deleted = deleted WHERE id = $1 AND team = $2`, p.id, stagedTeam+id)
				if err == nil && rows != 1 {
					err = fault.Newf(fault.Conflict, "import_cut", "The import took too long and was taken back. Try it again.")
				}
				if err != nil {
					return nil, err
				}
				return s.putFile(ctx, tx, who, p.id, &f)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

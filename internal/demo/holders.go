package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/seal"
	"writ/internal/secret"
)

// holdersDir is where the key files of the demo's holders lie.
const holdersDir = "holders"

// holders makes the owners the holders of the root key, each with a key file, and has them
// try their shares. All files lie on one disk: the pages and the checks say so.
func holders(ctx context.Context, dir string, srv *app.App, people []string) error {
	who, svc := actor.System("demo"), srv.Holders()
	if _, err := svc.Appoint(ctx, who, people); err != nil {
		return fmt.Errorf("appoint the demo's holders: %w", err)
	}
	var keys []seal.Private
	for _, email := range people {
		name, _, _ := strings.Cut(email, "@")
		k, err := keyFile(filepath.Join(dir, holdersDir, name+".key"))
		if err == nil {
			err = svc.EnrolFor(ctx, who, email, k.Key)
		}
		if err != nil {
			return fmt.Errorf("enrol %s as a holder: %w", name, err)
		}
		keys = append(keys, k)
	}
	st, err := svc.Drill(ctx, who)
	if err != nil {
		return fmt.Errorf("try the shares of the demo's holders: %w", err)
	}
	for _, k := range keys[:st.Need] {
		if err := give(ctx, svc.Gate(), k); err != nil {
			return fmt.Errorf("try the shares of the demo's holders: %w", err)
		}
	}
	return nil
}

// give is what writ vault unseal --holder does.
func give(ctx context.Context, g *seal.Gate, k seal.Private) error {
	x, st, err := g.Box(ctx, k.ID)
	if err != nil {
		return err
	}
	box, err := k.Offer(st.Operation, x.Box)
	if err != nil {
		return err
	}
	_, err = g.Give(ctx, seal.Offer{Set: st.Set, Holder: k.ID, Box: box})
	return err
}

func keyFile(path string) (seal.Private, error) {
	k, err := seal.NewPrivate()
	if err != nil {
		return k, err
	}
	b, err := k.Bytes(secret.Text{})
	if err != nil {
		return k, err
	}
	defer clear(b)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o400)); err != nil {
		return k, err
	}
	return k, nil
}

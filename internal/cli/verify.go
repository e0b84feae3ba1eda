package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"writ/internal/journal/verify"
)

func (a *app) verifyCommand() *cobra.Command {
	var keys []string
	var since string
	c := &cobra.Command{
		Use: "verify BUNDLE", Short: "Check an evidence bundle, a certificate or a copy of a status page, without a server",
		Long: `Checks an evidence zip, the certificate of a destroyed key (writ vault shred --certificate), or a folder
with a copy of a status page, on this machine alone: sums, signature of the checkpoint, every
entry's place in the tree, former checkpoints, opened values, numbers without a gap; of an alarm
(writ watch bundle) that its rule fires on what is there. Trust
comes from the keys you bring with --key; without one the bundle's own key is used and shown
as self-asserted. --since FILE is a checkpoint that you kept: the journal must be a
continuation of it. The bundle holds the proof of that when it was made with
writ journal export --since SIZE.

Exit status: 0 true, 1 false, 2 usage or unreadable, 5 true but declared incomplete.`,
		Example: "  writ verify evidence.zip\n  writ verify evidence.zip --key journal.key --since checkpoint.txt\n  writ verify status-copy", Args: cobra.ExactArgs(1), Annotations: offlineCommand,
		RunE: run(func(_ *cobra.Command, args []string) error {
			opt := verify.Options{Alarm: a.server.AskRule}
			var err error
			if opt.Keys, err = a.keys(keys); err != nil {
				return err
			}
			if len(keys) > 0 && len(opt.Keys) == 0 {
				return &exit{exitUsage, fmt.Errorf("no verifier key in %v", keys)}
			}
			if since != "" {
				if opt.Since, err = a.readFile(since, 64<<10); err != nil {
					return err
				}
			}
			return a.verify(args[0], opt)
		}),
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "verifier key of the journal, or a file with it; several may be given")
	c.Flags().StringVar(&since, "since", "", "file with a signed checkpoint that you kept")
	return c
}

func (a *app) verify(name string, opt verify.Options) error {
	f, err := os.Open(name)
	if err != nil {
		return unreadable(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(name, err)
	}
	var r verify.Report
	switch {
	case info.IsDir() && opt.Since == nil:
		r = verify.Page(os.DirFS(name), opt)
	case !info.Mode().IsRegular():
		return &exit{exitUsage, fmt.Errorf("%s is no file, or --since is given for the copy of a page", name)}
	default:
		if r, err = examine(f, info.Size(), opt); err != nil {
			return err
		}
	}
	if a.json() {
		if err := a.encode(r); err != nil {
			return err
		}
	} else {
		a.printBundle(r)
	}
	if r.Code == verify.True {
		return nil
	}
	return &exit{code: r.Code}
}

// examine tells a bundle from a certificate by its first byte.
func examine(f *os.File, size int64, opt verify.Options) (verify.Report, error) {
	first := make([]byte, 1)
	if _, err := f.ReadAt(first, 0); err != nil || first[0] != '{' {
		return verify.Bundle(f, size, opt), nil
	}
	if opt.Since != nil {
		return verify.Report{}, &usageError{errors.New("--since is for bundles: a certificate has one proof")}
	}
	b, err := readAll(f, f.Name(), 8<<20)
	if err != nil {
		return verify.Report{}, err
	}
	return verify.Certificate(b, opt), nil
}

func (a *app) printBundle(r verify.Report) {
	for _, s := range r.Steps {
		a.say("  %s", visible(s))
	}
	for _, p := range r.Problems {
		a.say("✕ %s: %s", visible(p.What), visible(p.Says))
	}
	switch r.Code {
	case verify.True:
		if what := map[string]string{"certificate": "certificate", "page": "status page"}[r.Complete]; what != "" {
			a.say("True: it is the %s that the journal %s recorded.", what, visible(r.Origin))
			break
		}
		a.say("True: %d entries stand in the journal %s of %d entries (%s).", r.Leaves, visible(r.Origin), r.Size, visible(r.Complete))
	case verify.Incomplete:
		a.say("True, and incomplete as it says itself: %d entries of the journal %s of %d entries (%s).", r.Leaves, visible(r.Origin), r.Size, visible(r.Complete))
	case verify.Unreadable:
		a.say("This is no evidence bundle, no certificate, and no copy of a status page.")
		return
	default:
		a.say("False: %s.", count(len(r.Problems), "problem", "problems"))
	}
	if r.Key != "" && r.SelfAsserted {
		a.say("Only the bundle vouches for its key: %s\nCompare it with one from another way and give it with --key.", visible(r.Key))
	}
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if int64(len(b)) > limit {
		return nil, &exit{exitUsage, fmt.Errorf("%s is larger than %d KiB", name, limit>>10)}
	}
	return b, nil
}

package jobs

import (
	"context"
	"log/slog"
	"time"
)

// Tend does a module's housekeeping every so often until ctx ends. One round that fails is
// told to the log and the next is tried all the same. Every node does it, so what tend does
// must be safe to do twice.
func Tend(ctx context.Context, every time.Duration, log *slog.Logger, what string, tend func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := tend(ctx); err != nil && ctx.Err() == nil {
				log.Error(what, "err", err)
			}
		}
	}
}

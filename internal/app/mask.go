package app

import (
	"context"
	"fmt"
	"log/slog"

	"writ/internal/gateway/guard"
)

// keep is how many digits of a card's number may be written down.
func (a *App) keep() int {
	if a.gateway == nil { // the policy is not read yet
		return 0
	}
	return a.gateway.Keep()
}

// masked hides numbers of cards in a text that is to be kept.
func (a *App) masked(text string) string { return guard.Cards(text, a.keep()) } // clause: data.card-summary

// maskedLog hides them in what is logged. Before the policy is known nothing of them is left.
type maskedLog struct {
	slog.Handler
	mask func(string) string
}

// Handle implements slog.Handler.
func (l maskedLog) Handle(ctx context.Context, r slog.Record) error { // clause: data.card-summary
	to := slog.NewRecord(r.Time, r.Level, l.mask(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		to.AddAttrs(l.attr(a))
		return true
	})
	return l.Handler.Handle(ctx, to) //nolint:wrapcheck // the handler's own
}

func (l maskedLog) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, l.mask(v.String()))
	case slog.KindGroup:
		parts := make([]any, 0, len(v.Group()))
		for _, p := range v.Group() {
			parts = append(parts, l.attr(p))
		}
		return slog.Group(a.Key, parts...)
	case slog.KindAny:
		if text := fmt.Sprint(v.Any()); text != l.mask(text) {
			return slog.String(a.Key, l.mask(text))
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// WithAttrs implements slog.Handler.
func (l maskedLog) WithAttrs(as []slog.Attr) slog.Handler {
	masked := make([]slog.Attr, len(as))
	for i, a := range as {
		masked[i] = l.attr(a)
	}
	return maskedLog{l.Handler.WithAttrs(masked), l.mask}
}

// WithGroup implements slog.Handler.
func (l maskedLog) WithGroup(name string) slog.Handler {
	return maskedLog{l.Handler.WithGroup(name), l.mask}
}

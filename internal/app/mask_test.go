package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// Nothing that is logged holds more of a card's number than its end, wherever it stands.
func TestLogIsMasked(t *testing.T) { // breaks: data.card-summary
	var out bytes.Buffer
	a := &App{}
	log := slog.New(maskedLog{slog.NewTextHandler(&out, nil), a.masked})
	const n = "4111 1111 1111 1111"
	log.With("one", n).WithGroup("g").Info("two "+n, "three", n, "four", errors.New("five "+n), slog.Group("six", "seven", n), "eight", 4111111111111112)
	if got := out.String(); strings.Contains(got, "1111 1111") || strings.Count(got, "**** **** **** ****") != 5 || !strings.Contains(got, "eight=4111111111111112") {
		t.Error(got)
	}
}

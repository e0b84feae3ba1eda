package web_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/web"
)

// Every stranger could write errors to the log as fast as requests: one for each "busy",
// each page during maintenance, each request given up.
func TestStrangersDoNotFillTheLogRegression(t *testing.T) {
	var log bytes.Buffer
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{} }, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want bool
	}{
		"busy":            {t.Context(), fault.New(fault.Unavailable, "busy", fault.Public{Problem: "Busy."}), false},
		"given up":        {gone, context.Canceled, false},
		"ledger away":     {t.Context(), fault.Wrap(fault.Unavailable, "unrecorded", errors.New("disk full")), true},
		"something broke": {t.Context(), errors.New("nil map"), true},
		"internal":        {t.Context(), fault.New(fault.Internal, "internal", fault.Public{}), true},
	} {
		log.Reset()
		s.Fail(httptest.NewRecorder(), ask{method: "GET", path: "/x"}.request().WithContext(c.ctx), c.err)
		if got := strings.Contains(log.String(), "level=ERROR"); got != c.want {
			t.Errorf("%s: logged as an error is %v, want %v: %s", name, got, c.want, log.String())
		}
	}
}

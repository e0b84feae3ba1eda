package watch_test

import (
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/watch"
)

// How long the room on a disk lasts is told by the pace of the last six hours, after one of them.
func TestDiskForecast(t *testing.T) { // breaks: mon.load
	f, now, used := watch.Filling{}, ledgertest.Start, 1000.0
	room := func() float64 { return 10_000 - used }
	for range 59 {
		if _, ok := f.Left(now, used, room()); ok {
			t.Fatal("it is known before an hour is over")
		}
		now, used = now.Add(time.Minute), used+10
	}
	now, used = now.Add(time.Minute), used+10
	if h, ok := f.Left(now, used, room()); !ok || h != 8400/600.0 {
		t.Errorf("%v hours at 600 an hour, %v", h, ok)
	}
	for range 7 * 60 { // and then it rests
		now = now.Add(time.Minute)
		f.Left(now, used, room())
	}
	if h, _ := f.Left(now, used, room()); h != 1000 {
		t.Errorf("%v hours, and nothing grows", h)
	}
	if h, _ := f.Left(now, used-500, room()); h != 1000 {
		t.Errorf("%v hours, and it was emptied", h)
	}
	w := lite(t)
	w.judge("host.disk-left", "data", -40)
	w.judge("host.disk-left", "data", -23)
	w.on(10 * time.Minute)
	w.alarm("disk-filling", watch.Firing)
}

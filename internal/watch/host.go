package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticks are a second of a processor, as Linux tells them to programs.
const ticks = 100

// machine is what is compared from one look to the next.
type machine struct {
	busy, total float64 // ticks of the processors
	killed      float64
	uptime      float64 // seconds, by a clock that nobody sets
	wall        time.Time
	known       bool
}

// filling is how full a disk was over the last hours, the oldest first.
type filling []struct {
	at   time.Time
	used float64
}

const (
	fillingFor   = 6 * time.Hour
	fillingEvery = 5 * time.Minute
	fillingLeast = time.Hour
	fullNever    = 1000.0 // hours
)

// left is for how many hours the room on a disk still lasts at the pace of the last hours; ok is
// false before an hour is known.
func (f *filling) left(now time.Time, used, room float64) (hours float64, ok bool) {
	if n := len(*f); n == 0 || now.Sub((*f)[n-1].at) >= fillingEvery {
		*f = append(*f, struct {
			at   time.Time
			used float64
		}{now, used})
	}
	for len(*f) > 1 && now.Sub((*f)[0].at) > fillingFor {
		*f = (*f)[1:]
	}
	first := (*f)[0]
	took := now.Sub(first.at)
	if took < fillingLeast {
		return 0, false
	}
	pace := (used - first.used) / took.Hours()
	if pace <= 0 {
		return fullNever, true
	}
	return min(room/pace, fullNever), true
}

// host reads this machine and this process. What a system does not have is left out.
func (s *Service) host() Source {
	var last machine
	fills := map[string]*filling{}
	return Source{Name: "host", Every: round, Read: func(context.Context) ([]Reading, error) {
		now := machine{wall: s.Now(), known: true}
		var out []Reading
		var errs []error
		for _, read := range []func() ([]Reading, error){
			func() ([]Reading, error) { return now.processors(&last) },
			func() ([]Reading, error) { return now.times(&last) },
			pressure, memory, func() ([]Reading, error) { return s.disks(fills) }, process,
		} {
			rs, err := read()
			out = append(out, rs...)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // another system than Linux
				errs = append(errs, err)
			}
		}
		last = now
		return out, errors.Join(errs...)
	}}
}

// proc reads a small file of the kernel.
func proc(name string) (string, error) {
	b, err := os.ReadFile("/proc/" + name)
	if err != nil {
		return "", fmt.Errorf("read the machine: %w", err)
	}
	return string(b), nil
}

func (m *machine) processors(last *machine) ([]Reading, error) {
	text, err := proc("stat")
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(first)
	for i, f := range fields[min(1, len(fields)):] {
		if i >= 8 { // guests are counted with their hosts
			break
		}
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, fmt.Errorf("read the machine: %w", err)
		}
		if m.total += n; i != 3 && i != 4 { // idle, and waiting for a disk
			m.busy += n
		}
	}
	if vm, err := proc("vmstat"); err == nil {
		m.killed = valueOf(vm, "oom_kill", " ")
	}
	if !last.known || m.total <= last.total {
		return nil, nil
	}
	return []Reading{{Meter: "host.cpu", Value: 100 * (m.busy - last.busy) / (m.total - last.total)}, {Meter: "cpu.seconds", Value: (m.busy - last.busy) / ticks}, {Meter: "host.oom", Value: m.killed - last.killed}}, nil
}

// times compares the clock with one that nobody sets.
func (m *machine) times(last *machine) ([]Reading, error) {
	text, err := proc("uptime")
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(text, " ")
	if m.uptime, err = strconv.ParseFloat(first, 64); err != nil {
		return nil, fmt.Errorf("read the machine: %w", err)
	}
	if !last.known {
		return nil, nil
	}
	step := m.wall.Sub(last.wall).Seconds() - (m.uptime - last.uptime)
	return []Reading{{Meter: "host.clock", Value: math.Abs(step)}}, nil
}

func pressure() ([]Reading, error) {
	text, err := proc("pressure/cpu")
	if err != nil {
		return nil, err
	}
	for f := range strings.FieldsSeq(text) {
		if v, ok := strings.CutPrefix(f, "avg60="); ok {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return nil, fmt.Errorf("read the machine: %w", err)
			}
			return []Reading{{Meter: "host.pressure", Label: "cpu", Value: n}}, nil
		}
	}
	return nil, nil
}

func memory() ([]Reading, error) {
	text, err := proc("meminfo")
	if err != nil {
		return nil, err
	}
	total, free := valueOf(text, "MemTotal:", " "), valueOf(text, "MemAvailable:", " ")
	if total <= 0 {
		return nil, errors.New("read the machine: no size of memory")
	}
	return []Reading{{Meter: "host.memory", Value: 100 * (total - free) / total}}, nil
}

// valueOf finds a number after its name.
func valueOf(text, name, sep string) float64 {
	for line := range strings.SplitSeq(text, "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 && strings.HasPrefix(rest, sep) {
				n, _ := strconv.ParseFloat(f[0], 64) // what is no number counts as none
				return n
			}
		}
	}
	return 0
}

func (s *Service) disks(fills map[string]*filling) (out []Reading, err error) {
	used := map[unix.Fsid]float64{} // two folders may lie on one disk
	for _, name := range slices.Sorted(maps.Keys(s.Folders)) {
		var st unix.Statfs_t
		if err := unix.Statfs(s.Folders[name], &st); err != nil {
			return out, fmt.Errorf("look at the disk of %s: %w", name, err)
		}
		if size := float64(st.Blocks) - float64(st.Bfree) + float64(st.Bavail); size > 0 {
			used[st.Fsid] = (float64(st.Blocks) - float64(st.Bfree)) * float64(st.Bsize)
			out = append(out, Reading{Meter: "host.disk", Label: name, Value: 100 * (float64(st.Blocks) - float64(st.Bfree)) / size})
			if fills[name] == nil {
				fills[name] = &filling{}
			}
			if hours, ok := fills[name].left(s.Now(), used[st.Fsid], float64(st.Bavail)*float64(st.Bsize)); ok {
				out = append(out, Reading{Meter: "host.disk-left", Label: name, Value: -hours})
			}
		}
		if st.Files > 0 {
			out = append(out, Reading{Meter: "host.inodes", Label: name, Value: 100 * (1 - float64(st.Ffree)/float64(st.Files))})
		}
	}
	sum := 0.0
	for _, v := range used {
		sum += v
	}
	if len(used) > 0 {
		out = append(out, Reading{Meter: "storage", Value: sum})
	}
	return out, nil
}

func process() ([]Reading, error) {
	out := []Reading{{Meter: "process.tasks", Value: float64(runtime.NumGoroutine())}}
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return out, fmt.Errorf("read the process: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return out, fmt.Errorf("read the process: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur == 0 {
		return out, err //nolint:wrapcheck // says which call
	}
	return append(out, Reading{Meter: "process.files", Value: 100 * float64(len(names)) / float64(limit.Cur)}), nil
}

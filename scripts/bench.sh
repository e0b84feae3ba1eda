#!/usr/bin/env bash
# The benchmarks, one package after the other so that they do not disturb each other,
# then the scripts that measure the whole (bench-*.sh). docs/benchmarks.md reads the figures.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

grep -rlE '^func Benchmark' --include='*_test.go' cmd internal | xargs -n1 dirname | sort -u | while read -r folder; do
	"$go" test -run '^$' -bench . -benchmem -timeout 30m "./$folder" </dev/null
done
for script in scripts/bench-*.sh; do
	[ -x "$script" ] && "$script"
done
true

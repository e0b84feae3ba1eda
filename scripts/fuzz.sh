#!/usr/bin/env bash
# Every fuzz target for FUZZTIME. Go fuzzes one target of one package at a time. An input that is
# new is shortened in a few tries: Go would spend up to a minute on it, which is all the time there is.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

grep -rnoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' cmd internal | sort -u | while IFS=: read -r file _ name; do
	name=${name#func }
	echo "$(dirname "$file") $name"
	"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 20x -timeout 10m "./$(dirname "$file")" </dev/null
done

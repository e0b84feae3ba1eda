#!/usr/bin/env bash
# All that can be said of the tree without running it, and the tests of its plan.
# Every step runs, so that one look shows all there is to mend.
set -uo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
bad=0

step() { # name, command…: says the name only when something is wrong
	local out
	if ! out=$("${@:2}" 2>&1); then
		printf -- '--- %s\n%s\n' "$1" "$out"
		bad=1
	fi
}

formatted() {
	local files
	files=$(gofmt -l cmd internal scripts) && [ -z "$files" ] || { echo "not formatted: $files"; return 1; }
}

linter() { # name package version arguments…
	local path
	path=$(scripts/tool.sh "$1" "$2" "$3") || { [ $? -eq 3 ] && return 0; return 1; }
	"$path" "${@:4}"
}

step gofmt formatted
step vet "$go" vet ./...
step fix "$go" fix -diff ./...
step tidy "$go" mod tidy -diff
step staticcheck linter staticcheck honnef.co/go/tools/cmd/staticcheck v0.8.2 ./...
step golangci-lint linter golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0 run --timeout 5m ./...
step house "$go" test ./internal/house

[ $bad -eq 0 ] && echo "check: all good"
exit $bad

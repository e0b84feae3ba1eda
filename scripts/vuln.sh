#!/usr/bin/env bash
# Known vulnerabilities in what the program calls, by govulncheck against a local copy of the
# Go vulnerability database (VULNDB, an archive of osv/*.json), or against the public one.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

check=$(scripts/tool.sh govulncheck golang.org/x/vuln/cmd/govulncheck v1.9.0) || { [ $? -eq 3 ] && exit 0; exit 1; }
db=()
if [ -f "${VULNDB:-}" ]; then
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	tar -xzf "$VULNDB" -C "$folder"
	"$go" run scripts/vulndb.go "$folder/osv" "$folder/db"
	db=(-db "file://$folder/db")
fi
"$check" ${db[@]+"${db[@]}"} ./...

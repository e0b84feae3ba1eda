#!/usr/bin/env bash
# The judges of the edge, each left out with a word where it cannot be had: the HTTP working
# group's cache tests through the whole pipeline, and Pebble, an authority that issues by ACME.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
scripts/tool.sh pebble github.com/letsencrypt/pebble/v2/cmd/pebble v2.10.1 || [ $? -eq 3 ]
WRIT_JUDGES=1 "$go" test -count=1 -v -run '^TestJudgeHTTPCache$' ./internal/gateway
"$go" test -count=1 -v ./internal/gateway/acme

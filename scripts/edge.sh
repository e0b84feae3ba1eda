#!/usr/bin/env bash
# The judges of the edge, each left out with a word where it cannot be had: the HTTP working
# group's cache tests through the whole pipeline; h2spec, testssl.sh, sslscan and slowhttptest
# against the public listener; the long form of the search for a spelling that gets past its
# rule; and Pebble, an authority that issues by ACME.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
missing=()
for tool in testssl:testssl.sh sslscan:sslscan slowhttptest:slowhttptest; do
	command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bsdextrautils dnsutils "${missing[@]}" </dev/null >/dev/null
	else
		echo "missing, so these judges are left out: ${missing[*]} (Debian's names)" >&2
	fi
fi
scripts/tool.sh h2spec github.com/summerwind/h2spec/cmd/h2spec v2.2.1+incompatible || [ $? -eq 3 ]
scripts/tool.sh pebble github.com/letsencrypt/pebble/v2/cmd/pebble v2.10.1 || [ $? -eq 3 ]
WRIT_JUDGES=1 "$go" test -count=1 -v -timeout 20m -run '^Test(Judge|NoSpelling)' ./internal/gateway
"$go" test -count=1 -v ./internal/gateway/acme

#!/usr/bin/env bash
# A million made-up requests through the screen of the attack rules and, where it lets them
# through, through the whole set, which must find nothing in them. In parts of 5,000: it ends after
# MINUTES (20) on one core and goes on where it was at the next call. What was done counts for
# the code it was done with; bin/screen-* remembers it.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go} all=${REQUESTS:-1000000} part=5000
code=$(cat internal/gateway/waf/*.go go.sum | sha256sum | cut -c1-12)
mkdir -p bin
state=bin/screen-$code
at=0 compared=0
[ -f "$state" ] && read -r at compared <"$state"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$go" test -c -o "$folder/test" ./internal/gateway/waf
end=$((SECONDS + ${MINUTES:-20} * 60))
while [ "$at" -lt "$all" ] && [ "$SECONDS" -lt "$end" ]; do
	to=$((at + part))
	if ! (cd internal/gateway/waf && GOMAXPROCS=1 WRIT_SCREEN=$at-$to nice -n 19 "$folder/test" -test.v -test.timeout 30m -test.run '^TestScreenAndWholeSetAgree$') >"$folder/log"; then
		cat "$folder/log" >&2
		exit 1
	fi
	n=$(sed -n 's/.* requests, \([0-9]*\) let through.*/\1/p' "$folder/log")
	at=$to compared=$((compared + n))
	echo "$at $compared" >"$state"
done
echo "$at of $all requests: no difference; $compared of them the screen lets through, the whole set was asked about the others"

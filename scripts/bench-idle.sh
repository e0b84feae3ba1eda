#!/usr/bin/env bash
# What idle connections to the public listener take: memory of the whole server with the attack
# rules loaded, before and with COUNT of them (10,000). Loopback only; everything it makes lies
# in a temporary folder. A connection is idle for two minutes at the most, so all must be open by then.
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -n "$(ulimit -Hn)"
make -s build
dir=$(mktemp -d)
port=${PORT:-18643}
pid=
trap '[ -n "$pid" ] && kill -INT "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
bin/writ init --dir "$dir/w" --app "https://localhost:$port" --upstream http://127.0.0.1:1 --https "127.0.0.1:$port" \
	--owner a@example.test --owner b@example.test >/dev/null
"${GO:-go}" build -o "$dir/idle" scripts/idle.go
bin/writ serve --dir "$dir/w" >"$dir/log" 2>&1 &
pid=$!
until curl -fsk -o /dev/null "https://localhost:$port/-/livez"; do
	kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
	sleep 0.2
done
sleep "${SETTLE:-110}" # the first round of all controls hashes passwords
"$dir/idle" "localhost:$port" "${COUNT:-10000}" "$pid"

#!/usr/bin/env bash
# An hour of guesses at one account by THC-Hydra, and one password on a thousand addresses,
# against a demo in a temporary folder, while the owner keeps signing in. Prints the figures;
# status 1 when an attacker got in, the owner did not, or spraying went on. Loopback only.
# What is equivalent to an hour and why: scripts/attack.go.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v hydra >/dev/null; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends hydra </dev/null >/dev/null
	else
		echo "hydra is missing (Debian's name), so this attack is left out" >&2
		exit 0
	fi
fi
dir=$(mktemp -d)
port=${PORT:-18543}
pid=
trap '[ -n "$pid" ] && kill -INT "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
writ=${WRIT_BINARY:-bin/writ}
[ -n "${WRIT_BINARY:-}" ] || make -s build
"$writ" demo --dir "$dir/demo" --https "127.0.0.1:$port" >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 300); do
	curl -fsk -o /dev/null "https://localhost:$port/-/livez" && grep -q Ctrl-C "$dir/log" && break
	kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 2; }
	sleep 0.2
done
"${GO:-go}" build -o "$dir/attack" scripts/attack.go
"$dir/attack" "$dir/demo" "https://localhost:$port"

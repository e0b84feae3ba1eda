#!/usr/bin/env bash
# The whole server, as a person meets it: start to first answer, idle memory and CPU,
# writ check over all clauses, the size of the binary. Loopback only; everything it makes
# lies in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
make -s build
dir=$(mktemp -d)
port=${PORT:-18443}
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
bin/writ init --dir "$dir/w" --app "https://localhost:$port" --upstream http://127.0.0.1:1 --https "127.0.0.1:$port" \
	--owner a@example.test --owner b@example.test >/dev/null

start() {
	bin/writ serve --dir "$dir/w" >"$dir/log" 2>&1 &
	pid=$!
	local begin end
	begin=$(date +%s%N)
	until curl -fsk -o /dev/null "https://localhost:$port/-/livez"; do sleep 0.005; done
	end=$(date +%s%N)
	echo $(((end - begin) / 1000000))
}
stop() { kill -INT "$pid"; wait "$pid" || true; }

for i in 1 2 3 4 5; do
	start >"$dir/ms"
	printf "start %d: %s ms to the first answer (curl and its handshake included)\n" "$i" "$(cat "$dir/ms")"
	[ "$i" -lt 5 ] && stop
done
sleep "${SETTLE:-110}" # the first round of all controls hashes passwords
ticks() { awk '{print $14+$15}' "/proc/$pid/stat"; }
a=$(ticks); sleep 20; b=$(ticks)
awk '/VmRSS/{printf "idle memory: %.0f MB resident\n", $2/1024}' "/proc/$pid/status"
echo "idle CPU: $(((b - a) * 100 / 20 / $(getconf CLK_TCK))) % of a core over 20 s"
for _ in 1 2 3; do
	begin=$(date +%s%N)
	bin/writ check --dir "$dir/w" >"$dir/check" || true
	end=$(date +%s%N)
	echo "writ check: $(((end - begin) / 1000000)) ms, $(tail -n1 "$dir/check")"
done
echo "binary: $(($(stat -c %s bin/writ) / 1000000)) MB"

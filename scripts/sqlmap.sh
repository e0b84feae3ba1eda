#!/usr/bin/env bash
# sqlmap against an application that is injectable on purpose, behind the gate: it must find
# the hole where no rules look at requests, and nothing where they do. Loopback only.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v sqlmap >/dev/null; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sqlmap </dev/null >/dev/null
	else
		echo "sqlmap is missing (Debian's name), so this judge is left out" >&2
		exit 0
	fi
fi
WRIT_SQLMAP=1 "${GO:-go}" test -count=1 -timeout 20m -run '^TestSQLMap$' ./internal/gateway </dev/null

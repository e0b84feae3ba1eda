#!/usr/bin/env bash
# Clients of the OpenID provider that are too heavy for go.mod, each built in a module of its
# own, and the tests that let them judge.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GOFLAGS='' GOWORK=off
mkdir -p bin/tools

built() { # name, then what go builds it from
	"$go" build -o "$root/bin/tools/$1" "${@:2}"
}

oauth2_proxy() { # its own module replaces others, so go install refuses it
	mkdir "$folder/proxy" && cd "$folder/proxy"
	"$go" mod init judge && "$go" get -tool github.com/oauth2-proxy/oauth2-proxy/v7@v7.8.1 && built oauth2-proxy-v7.8.1 github.com/oauth2-proxy/oauth2-proxy/v7
}

zitadel() {
	mkdir "$folder/zitadel" && cd "$folder/zitadel"
	cp "$root/internal/identity/oidc/testdata/zitadel/main.go" .
	"$go" mod init judge && "$go" get github.com/zitadel/oidc/v3@v3.51.17 && "$go" mod tidy && built zitadel-rp-v3.51.17 .
}

for judge in oauth2_proxy zitadel; do
	if ! ("$judge") >"$folder/log" 2>&1; then
		echo "the judge $judge cannot be built here, so it is left out: $(tail -n 1 "$folder/log")" >&2
	fi
done
"$go" test -count=1 -v -run '^(TestOAuth2Proxy|TestZitadelRP)$' ./internal/identity/oidc

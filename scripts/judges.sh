#!/usr/bin/env bash
# Clients of the OpenID provider, of the vault and of alarms that are too heavy for go.mod, each built
# apart, mail servers of Debian, and the tests that let them judge.
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

aws_ssm() {
	mkdir "$folder/ssm" && cd "$folder/ssm"
	cp "$root/internal/vault/ssm/testdata/gosdk/main.go" .
	"$go" mod init judge && "$go" get github.com/aws/aws-sdk-go-v2@v1.47.7 github.com/aws/aws-sdk-go-v2/service/ssm@v1.81.0 && "$go" mod tidy && built aws-ssm-v1.81.0 .
}

sops() { # it wants an editor: ours writes a file
	mkdir "$folder/sops" && cd "$folder/sops"
	"$go" mod init judge && "$go" get -tool github.com/getsops/sops/v3/cmd/sops@v3.13.3 && built sops-v3.13.3 github.com/getsops/sops/v3/cmd/sops
}

for judge in oauth2_proxy zitadel aws_ssm sops; do
	if ! ("$judge") >"$folder/log" 2>&1; then
		echo "the judge $judge cannot be built here, so it is left out: $(tail -n 1 "$folder/log")" >&2
	fi
done
scripts/tool.sh amtool github.com/prometheus/alertmanager/cmd/amtool v0.34.2 || [ $? -eq 3 ]
"$go" test -count=1 -v -run '^TestAmtool$' ./internal/watch
"$go" test -count=1 -v -run '^TestJudge' ./internal/incident # readers of status pages
"$go" test -count=1 -v -run '^TestText$' ./internal/watch/export # promtool check metrics, where Debian's prometheus is installed
"$go" test -count=1 -v -run '^(TestOAuth2Proxy|TestZitadelRP)$' ./internal/identity/oidc
"$go" test -count=1 -v -run '^TestJudge' ./internal/notify # opensmtpd (as root), python3-aiosmtpd and swaks of Debian, the library of Standard Webhooks
"$go" test -count=1 -v -run '^TestJudge' ./internal/app # openssh-server of Debian, as root
"$go" test -count=1 -v -run '^TestJudge' ./internal/vault/... ./internal/e2e
scripts/edge.sh

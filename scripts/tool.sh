#!/usr/bin/env bash
# tool.sh NAME PACKAGE VERSION prints the path of a pinned tool, installing it into bin/tools
# once. Exit status 3: it cannot be had here, for want of a network.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 package=$2 version=$3
path=$PWD/bin/tools/$name-$version
if [ ! -x "$path" ]; then
	mkdir -p bin/tools
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	if ! GOBIN=$folder GOFLAGS='' "${GO:-go}" install "$package@$version" >"$folder/log" 2>&1; then
		echo "$name $version cannot be installed here, so it is left out: $(tail -n 1 "$folder/log")" >&2
		exit 3
	fi
	mv "$folder/$name" "$path"
fi
echo "$path"

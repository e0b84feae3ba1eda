#!/usr/bin/env bash
# Builds the program twice, in two folders with two empty caches, and compares: the same source
# gives the same bytes, wherever it lies. Ends with the hash.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
for n in first second; do
	mkdir -p "$folder/$n/tree"
	tar -cf - --exclude=./bin --exclude=./.git --exclude=./demo . | tar -xf - -C "$folder/$n/tree"
	GOCACHE=$folder/$n/cache make -s -C "$folder/$n/tree" build VERSION="$version"
	rm -rf "$folder/$n/cache"
done
sum() { sha256sum <"$folder/$1/tree/bin/writ" | cut -d' ' -f1; }
if [ "$(sum first)" != "$(sum second)" ]; then
	echo "two builds of one source differ: $(sum first), $(sum second)" >&2
	exit 1
fi
echo "bin/writ $version builds the same twice: sha256 $(sum first)"

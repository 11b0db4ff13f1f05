#!/usr/bin/env bash
# Fetch what others wrote of the console's scripts: from exact npm packages, whose sha512 the lock file names.
# Needs npm, which nothing else does: the files are committed, and the wheel has them.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../src/openrds/console/static"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

while read -r package version integrity file as; do
    [[ $package == \#* ]] && continue
    archive=$folder/$(npm pack --silent --pack-destination "$folder" "$package@$version")
    actual=sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
    [[ $actual == "$integrity" ]] || {
        echo "console-files: $package $version is another one: $actual" >&2
        exit 1
    }
    tar -xzOf "$archive" "package/$file" >"$as"
done <vendored.lock

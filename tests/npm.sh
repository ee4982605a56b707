#!/bin/sh
# Installs what tests/package.json names into ${OSSICLE_CACHE:-~/.cache/ossicle}/npm, once, and
# prints that folder. Exit 77 (skip) with one line on stderr where npm or the network is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${OSSICLE_CACHE:-$HOME/.cache/ossicle}/npm
skip() {
    echo "SKIP: $1" >&2
    exit 77
}

command -v node >/dev/null 2>&1 || skip "node is not installed; the tests against tiktoken need it"
mkdir -p "$folder"
# One installer at a time: ctest may start several tests that want the packages.
exec 9>"$folder/.lock"
if command -v flock >/dev/null 2>&1; then
    flock 9
fi
if ! cmp -s "$here/package.json" "$folder/installed.json"; then
    command -v npm >/dev/null 2>&1 || skip "npm is not installed; tiktoken needs it"
    cp "$here/package.json" "$folder/package.json"
    (cd "$folder" && timeout 120 npm install --no-audit --no-fund --no-package-lock \
        --ignore-scripts --loglevel=error >"$folder/install.log" 2>&1) ||
        skip "npm could not install tests/package.json (network?), see $folder/install.log"
    cp "$here/package.json" "$folder/installed.json"
fi
echo "$folder"

#!/bin/sh
# Installs what is missing, builds, and runs every test.
#
#   tests/run.sh                 all of them
#   tests/run.sh -R gguf         options of ctest go through
#
# Exit code: that of ctest. 0 is all passed (tests that say why they were skipped count as passed).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

"$root/platform/posix/install.sh" build tests
settings=
grep -qx 'OSSICLE_TESTS:BOOL=ON' "$root/build/release/CMakeCache.txt" 2>/dev/null ||
    settings=-DOSSICLE_TESTS=ON
# shellcheck disable=SC2086  # one word or none
"$root/platform/posix/build.sh" release $settings
exec ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error \
    -j "$(nproc)" "$@"

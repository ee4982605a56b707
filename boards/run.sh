#!/bin/sh
# Installs what is missing, builds, and answers.
#
#   boards/run.sh "question"                    the built-in demo answers
#   boards/run.sh -m gpt-oss-20b.gguf "question"
#   boards/run.sh [any option of `ossicle run`] "question"
#
# The answer goes to stdout, everything else to stderr. The second time it takes no longer than
# the program itself. Exit codes are those of `ossicle run`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

if [ $# -eq 0 ]; then
    echo 'ossicle: usage: boards/run.sh [-m FILE] [options of ossicle run] "question"' >&2
    exit 1
fi

"$root/platform/posix/install.sh" build
build=$root/build/release
settings=
# The tests want more packages; a first build for use leaves them out. tests/run.sh adds them.
[ -f "$build/CMakeCache.txt" ] || settings=-DOSSICLE_TESTS=OFF
# shellcheck disable=SC2086  # one word or none
"$root/platform/posix/build.sh" release $settings -- ossicle
exec "$build/ossicle" run "$@"

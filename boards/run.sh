#!/bin/sh
# Installs what is missing, builds, and answers.
#
#   boards/run.sh "question"                    with a small random model: it babbles
#   boards/run.sh -m gpt-oss-20b.gguf "question"
#   boards/run.sh [any option of `ossicle run`] "question"
#
# The answer goes to stdout, everything else to stderr. The second time it takes no longer than
# the program itself. Exit codes are those of `ossicle run`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
say() { printf 'ossicle: %s\n' "$*" >&2; }

if [ $# -eq 0 ]; then
    say 'usage: boards/run.sh [-m FILE] [options of ossicle run] "question"'
    exit 1
fi

# A model is named with -m FILE, -mFILE, --model FILE or --model=FILE, before any `--`.
model_given=no
for word; do
    case $word in
    --) break ;;
    -m* | --model | --model=* | --help | -h) model_given=yes ;;
    esac
done

"$root/platform/posix/install.sh" build
build=$root/build/release
targets=ossicle
[ $model_given = yes ] || targets="$targets make_gguf"
settings=
# The tests want more packages; a first build for use leaves them out. tests/run.sh adds them.
[ -f "$build/CMakeCache.txt" ] || settings=-DOSSICLE_TESTS=OFF
# shellcheck disable=SC2086  # both are lists of words
"$root/platform/posix/build.sh" release $settings -- $targets

if [ $model_given = yes ]; then
    exec "$build/ossicle" run "$@"
fi

cache=${OSSICLE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/ossicle}
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=$build
# The writer's own checksum is part of the name: a changed writer makes a new file.
model=$cache/babble-$(cksum <"$build/make_gguf" | cut -d' ' -f1).gguf
if [ ! -f "$model" ]; then
    say "making a small random model in $cache (68 MB)"
    rm -f "$cache"/babble-*
    "$build/make_gguf" --preset small --out "$model.part.$$" >/dev/null
    mv -f "$model.part.$$" "$model"
fi
say "no model given: this one is small and random, so it babbles. For real answers use -m FILE"
# Left to chance it reasons for thousands of tokens and never answers: the word that names the
# answer's channel is made likelier, and 64 tokens are enough. Options given override these.
final=$(printf final | "$build/ossicle" tokenize -m "$model")
exec "$build/ossicle" run -m "$model" -n 64 --logit-bias "${final%% *}=9" "$@"

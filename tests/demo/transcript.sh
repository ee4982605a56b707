#!/bin/bash
# What the README shows of a session is what the program writes: runs the commands of its console
# block, compares, and prints the block as it should be where it is not.
#
#   tests/demo/transcript.sh OSSICLE
#
# boards/run.sh stands for `OSSICLE run`. Both streams are shown, as on a terminal.
set -u
ossicle=$1
cd "$(dirname "$0")/../.." || exit 1
XDG_STATE_HOME=$(mktemp -d)
export XDG_STATE_HOME
trap 'rm -rf "$XDG_STATE_HOME"' EXIT

# As typed; the reasoning, which a terminal shows anyway, is asked for.
# shellcheck disable=SC2317  # eval calls it
ask() { "$ossicle" run --show-reasoning "$@" </dev/null 2>&1; }

shown=$(awk '/^```console$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md)
[ -n "$shown" ] || { echo "README.md has no console block"; exit 1; }
real=$(
    while IFS= read -r line; do
        case $line in
        '$ '* | '> '*)
            printf '%s\n' "$line"
            command=${command-}${line#??}
            case $command in *\\) command=${command%\\} && continue ;; esac
            case $command in
            'boards/run.sh '*) eval "ask ${command#* }" || echo "exit code $?" ;;
            *) echo "no command for a transcript" ;;
            esac
            command=
            ;;
        esac
    done <<<"$shown"
)
diff -u <(printf '%s\n' "$shown") <(printf '%s\n' "$real") && exit 0
echo "README.md (-) shows other words than the program (+) writes; it should show:"
printf '%s\n' "$real"
exit 1

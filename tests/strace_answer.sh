#!/bin/sh
# Watches an answer from outside: between the first and the last byte on stdout the kernel is asked
# for no memory and no thread, and the text comes in pieces, not at the end.
#
#   tests/strace_answer.sh OSSICLE MODEL
#
# Exit 77 where strace is missing or may not trace.
set -eu
program=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v strace >/dev/null 2>&1 || { echo "SKIP: strace is not installed" >&2; exit 77; }
strace -o "$folder/can" true 2>/dev/null || { echo "SKIP: strace may not trace here" >&2; exit 77; }

# A random model may reason without end. Not if it cannot begin the names of the other channels.
bias=
for word in analysis commentary; do
    while [ -n "$word" ]; do
        id=$(printf %s "$word" | "$program" tokenize -m "$model")
        case $id in *' '*) ;; *) bias="$bias --logit-bias $id=-100" ;; esac
        word=${word%?}
    done
done

# shellcheck disable=SC2086  # bias is words
strace -f -o "$folder/log" \
    -e trace=write,writev,mmap,munmap,mremap,brk,mprotect,clone,clone3,fork,vfork,memfd_create \
    "$program" run -m "$model" -n 48 --seed 3 --context 512 $bias "What is an ossicle?" \
    >"$folder/out" 2>"$folder/err" </dev/null || {
    cat "$folder/err"
    echo "ossicle run failed under strace"
    exit 1
}
awk '
    { call = $2; sub(/\(.*/, "", call) }
    $0 ~ /(write|writev)\(1,/ { last = NR; writes++; if (!first) first = NR }
    { line[NR] = $0; name[NR] = call }
    END {
        if (writes < 8) {
            print "only " writes + 0 " writes to stdout: the text is not streamed"
            exit 1
        }
        for (i = first; i <= last; i++)
            if (name[i] !~ /^(write|writev|<\.\.\.|\+\+\+|---)/) {
                print "during the answer: " line[i]
                bad = 1
            }
        if (bad) exit 1
        print writes " writes to stdout, nothing asked of the kernel between them"
    }' "$folder/log"

#!/bin/sh
# Writes prompts of seeded token ids as JSON: tests/parity/prompts.sh VOCABULARY SEED LENGTH...
set -eu
vocabulary=$1 seed=$2
shift 2
# A small congruential generator whose products stay exact in awk's doubles.
awk -v vocabulary="$vocabulary" -v state="$seed" -v lengths="$*" 'BEGIN {
    count = split(lengths, length_of, " ")
    printf "["
    for (p = 1; p <= count; p++) {
        printf("%s[", (p > 1 ? ",\n " : ""))
        for (i = 1; i <= length_of[p]; i++) {
            state = (state * 69069 + 12345) % 4294967296
            printf("%s%d", (i > 1 ? "," : ""), int(state / 4294967296 * vocabulary))
        }
        printf "]"
    }
    print "]"
}'

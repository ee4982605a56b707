#!/bin/sh
# Shows that tests/tidy.sh can fail: plants each breach in an empty tree and wants it named.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# breach RULE PATH: the text on stdin becomes PATH; tidy must name RULE there and fail.
breach() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/$(dirname "$2")"
    cat >"$tree/$2"
    case $2 in *.sh) [ "$1" = mode ] || chmod +x "$tree/$2" ;; esac
    if "$here/tidy.sh" "$tree" >"$tree.out" || ! grep -q "^$2:[0-9]*: $1:" "$tree.out"; then
        echo "tidy did not find '$1' in $2; it said:"
        cat "$tree.out"
        failures=$((failures + 1))
    fi
    rm -f "$tree.out"
}
lines() { # lines COUNT TEXT
    awk -v count="$1" -v text="$2" 'BEGIN { for (i = 0; i < count; i++) print text }'
}
wide=$(printf '%0101d' 0)

{ echo '/* a */'; lines 499 'int x;'; } | breach size compute/long.c
printf '/* %s */\n' "$wide" | breach columns model/wide.c
printf '/* a */\n\tint x;\n' | breach blanks platform/tab.c
printf '/* a */\nint x; \n' | breach blanks platform/end.c
{ printf '/* a */\nint f(void)\n{\n'; lines 68 '    g();'; echo '}'; } | breach length model/f.c
{ printf '#!/bin/sh\n# a\nf() {\n'; lines 68 '    g'; echo '}'; } | breach length tests/f.sh
printf 'int x;\n' | breach opening compute/bare.h
printf '#!/bin/sh\nset -eu\n' | breach opening tests/bare.sh
printf '/* TO%s: later */\n' DO | breach unfinished compute/later.c
printf 'See /wo%s/x\n' rk | breach machine README.md
printf 'curl deb.deb%s\n' ian.org | breach machine README.md
printf '/* a */\n#include "model/gguf.h"\n' | breach include compute/up.c
printf '/* a */\n#include "boards/x.h"\n' | breach include model/up.c
printf '/* a */\n#include "compute/schedule.h"\n' | breach include boards/host/deep.c
printf '/* a */\n#include <unistd.h>\n' | breach include model/system.c
printf '/* a */\n#include <immintrin.h>\n' | breach include model/simd.c
printf '/* a */\nvoid *f(void) { return malloc(3); }\n' | breach memory model/heap.c
printf '/* a */\nvoid f(void) { printf("x"); }\n' | breach manners compute/loud.c
printf 'x\n' | breach layout notes.txt
printf '#!/bin/sh\n# a\n' | breach mode tests/off.sh

# The same for symbols: a library that calls what it must not, and one with a name of no prefix.
symbol() { # symbol RULE C-TEXT
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/build/platform" "$tree/build/compute" "$tree/build/model"
    printf '%s\n' "$2" >"$tree/x.c"
    ${CC:-cc} -c -o "$tree/x.o" "$tree/x.c"
    for library in platform/libosl_platform compute/libosl_compute model/libossicle_model; do
        ar rc "$tree/build/$library.a" "$tree/x.o"
    done
    rm "$tree/x.c" "$tree/x.o"
    "$here/tidy.sh" "$tree" "$tree/build" >"$tree.out" || :
    if ! grep -q ": $1: " "$tree.out"; then
        echo "tidy did not find '$1' in: $2"
        failures=$((failures + 1))
    fi
    rm -f "$tree.out"
}
symbol symbols 'void *malloc(unsigned long); void *osl_f(void) { return malloc(1); }'
symbol symbols 'int puts(const char *); int osl_f(void) { return puts("x"); }'
symbol prefix 'int helper(void) { return 1; }'

[ "$failures" -eq 0 ] || exit 1
echo "tidy_selftest: every planted breach was found"

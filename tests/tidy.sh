#!/bin/sh
# The rules of style that a program can check, over the tracked files.
#
#   tests/tidy.sh [ROOT [BUILD]]
#     ROOT   the tree to check (default: the one this script is in)
#     BUILD  a build folder; if given, the symbols of its libraries are checked too
#
# Prints "PATH:LINE: what is wrong" for each breach. Exit 0 if there is none, else 1.
# Old breaches could be listed in tests/tidy.allow as "PATH RULE REASON"; the list is empty and
# is meant to stay so.
set -eu
export LC_ALL=C
root=${1:-$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)}
build=${2:-}
cd "$root"
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT

if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -co --exclude-standard >"$found/files"
else
    find . -type f ! -path './build/*' ! -path './.git/*' | sed 's|^\./||' | sort >"$found/files"
fi
# Files deleted but not yet committed are still listed.
while IFS= read -r file; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
done <"$found/files" >"$found/present"
grep -E '\.(c|h|comp|glsl)$' "$found/present" >"$found/c" || :
grep -E '\.(c|h|comp|glsl|sh|js|cmake)$|CMakeLists\.txt$|^\.ci/run$' "$found/present" \
    >"$found/code" || :
grep -E '\.(c|h|comp|glsl|sh|js|cmake|json|md|txt|in)$|^\.[^/]*$|^\.ci/|^LICENSE$' \
    "$found/present" >"$found/text" || :

# over LIST AWK: runs an awk program over the files of a list, one awk per few hundred files.
over() {
    tr '\n' '\0' <"$1" | xargs -0 -r awk "$2"
}

check_layout() { # sizes, columns, blanks, how files open
    over "$found/code" '
        function ended() {
            if (last_file != "" && lines >= 500)
                print last_file ":" lines ": size: a file of 500 lines or more"
        }
        FNR == 1 { ended(); last_file = FILENAME; begin = 0 }
        { lines = FNR }
        {
            text = $0
            gsub(/[\200-\277]/, "", text)
            if (length(text) > 100)
                print FILENAME ":" FNR ": columns: a line of " length(text) " columns, over 100"
            if (text ~ /\t/) print FILENAME ":" FNR ": blanks: a tab"
            if (text ~ /[ \r]$/) print FILENAME ":" FNR ": blanks: a blank at the end of a line"
        }
        FILENAME ~ /\.[ch]$/ && /^\{/ { begin = FNR }
        FILENAME ~ /\.sh$/ && /^[a-z_0-9]+\(\) *\{/ { begin = FNR }
        /^\}/ && begin {
            if (FNR - begin + 1 >= 70)
                print FILENAME ":" begin ": length: a function of " FNR - begin + 1 " lines"
            begin = 0
        }
        FNR == 1 && FILENAME ~ /\.(c|h)$/ && !/^\/\*/ {
            print FILENAME ":1: opening: does not open with a comment that says what it is"
        }
        FNR == 2 && FILENAME ~ /\.sh$/ && !/^#/ {
            print FILENAME ":2: opening: no comment after #! that says what it does"
        }
        END { ended() }'
}

check_words() {
    over "$found/text" '
        /(^|[^A-Za-z])(TO[D]O|FIX[M]E|XX[X]|HAC[K])([^A-Za-z]|$)/ {
            print FILENAME ":" FNR ": unfinished: finish it, or open an issue"
        }
        /(^|[^A-Za-z0-9_.$})-])\/(work|root|home)\// {
            print FILENAME ":" FNR ": machine: a path of one machine"
        }
        /deb\.debian\.org|registry\.npmjs|pypi\.org|proxy\.golang/ {
            print FILENAME ":" FNR ": machine: the host of a package registry"
        }'
}

check_includes() { # boards -> model -> compute -> platform; only platform knows a system
    grep -E '^(platform|compute|model|boards)/' "$found/c" >"$found/layers" || :
    over "$found/layers" '
        BEGIN {
            may["platform"] = " platform "
            may["compute"] = " compute platform shaders "
            may["model"] = " model compute platform "
            may["boards"] = " boards "
            system_header = "^(unistd|fcntl|pthread|sched|dirent|signal|errno|poll|termios" \
                "|dlfcn|malloc)[.]h|^(sys|linux|asm|net|arpa)/"
        }
        !/^ *# *include/ { next }
        {
            layer = FILENAME
            sub(/\/.*/, "", layer)
            target = $0
            sub(/^ *# *include *[<"]/, "", target)
            sub(/[>"].*/, "", target)
        }
        /"/ && target ~ /\// {
            folder = target
            sub(/\/.*/, "", folder)
            if (layer == "boards" && target == "model/ossicle.h") next
            if (index(may[layer], " " folder " ") == 0)
                print FILENAME ":" FNR ": include: " layer "/ must not include " target
        }
        /"/ && target ~ /\.\.\// { print FILENAME ":" FNR ": include: not by way of .." }
        /</ && (layer == "compute" || layer == "model") && target ~ system_header {
            print FILENAME ":" FNR ": include: only platform/ knows a system, and has " target
        }
        /</ && layer == "model" && target ~ /^(vulkan\/|immintrin|arm_neon|x86intrin)/ {
            print FILENAME ":" FNR ": include: model/ knows no device, <" target "> is one"
        }'
}

check_calls() { # what a library must not do; the symbols are checked below, this gives lines
    grep -E '^(compute|model)/.*\.[ch]$' "$found/c" >"$found/libraries" || :
    over "$found/libraries" '
        BEGIN {
            before = "(^|[^A-Za-z0-9_.>])("
            after = ") *[(]"
            memory = before "malloc|calloc|realloc|free|strdup|strndup|posix_memalign" \
                "|aligned_alloc|alloca|__builtin_alloca|qsort|asprintf" after
            manners = before "printf|fprintf|vprintf|puts|putchar|exit|_exit|abort|getenv" \
                "|system|fopen" after
        }
        { code = $0 }
        code ~ /^ *(\*|\/\*)/ { next }
        { sub(/\/\*.*/, "", code); gsub(/"([^"\\]|\\.)*"/, "", code) }
        code ~ memory { print FILENAME ":" FNR ": memory: a library allocates nothing" }
        code ~ manners {
            print FILENAME ":" FNR ": manners: a library does not print, exit or getenv"
        }'
}

check_names() { # the top level, and which files may be run
    layout='CMakeLists\.txt|README\.md|LICENSE|\..*'
    layout="$layout|platform|compute|shaders|model|boards|tests"
    sed 's|/.*||' "$found/present" | sort -u | grep -vxE "$layout" |
        sed 's|$|:1: layout: not one of the names at the top level|' || :
    while IFS= read -r file; do
        case $(head -c 2 "$file" | tr -d '\0') in
        '#!') [ -x "$file" ] || echo "$file:1: mode: a script that is not executable" ;;
        *) [ ! -x "$file" ] || echo "$file:1: mode: executable, but not a script" ;;
        esac
    done <"$found/present"
}

# symbols ARCHIVE PATTERN WHAT: undefined symbols of our own objects in an archive.
symbols() {
    [ -f "$1" ] || { echo "$1:0: symbols: no such library; build first"; return; }
    nm -A -u "$1" 2>/dev/null | awk -v what="$3" -v lib="${1##*/}" \
        -v pattern="^(__)?($2)(_chk)?\$" '
        { name = $NF; sub(/@.*/, "", name); split($1, part, ":") }
        name ~ pattern { print lib "(" part[2] "):0: symbols: " name ": " what }'
}

check_symbols() {
    heap='malloc|calloc|realloc|free|strdup|strndup|posix_memalign|aligned_alloc|memalign'
    heap="$heap|valloc|asprintf|vasprintf|getline|qsort|qsort_r|mmap|mmap64|munmap|brk|sbrk"
    manners='printf|vprintf|fprintf|vfprintf|puts|putchar|fputs|fwrite|stdout|stderr|exit|_exit'
    manners="$manners|quick_exit|abort|assert_fail|getenv|secure_getenv|system|fopen|fopen64"
    for library in "$build/compute/libosl_compute.a" "$build/model/libossicle_model.a"; do
        symbols "$library" "$heap" 'a library allocates nothing (qsort may)'
        symbols "$library" "$manners" 'a library never prints, exits or asks the environment'
    done
    for library in "$build/platform/libosl_platform.a" "$build/compute/libosl_compute.a" \
        "$build/model/libossicle_model.a"; do
        nm -A -g --defined-only "$library" 2>/dev/null | awk -v lib="${library##*/}" '
            { split($1, part, ":") }
            NF >= 3 && $NF !~ /^(osl_|ossicle_|__|_ZN6__)/ {
                print lib "(" part[2] "):0: prefix: " $NF " is external and has no osl_ or ossicle_"
            }'
    done
}

{
    check_layout
    check_words
    check_includes
    check_calls
    check_names
    [ -z "$build" ] || check_symbols
} >"$found/breaches"

allow=tests/tidy.allow
if [ -f "$allow" ]; then
    awk 'NR == FNR { if ($1 !~ /^#/ && NF) allowed[$1 " " $2] = 1; next }
        { split($0, part, ":"); rule = part[3]; sub(/^ /, "", rule) }
        !((part[1] " " rule) in allowed)' "$allow" "$found/breaches" >"$found/left"
else
    cp "$found/breaches" "$found/left"
fi
if [ -s "$found/left" ]; then
    cat "$found/left"
    echo "tidy: $(wc -l <"$found/left") breaches"
    exit 1
fi
echo "tidy: $(wc -l <"$found/present") files, no breach"

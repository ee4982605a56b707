#!/bin/sh
# What the ARM kernels' inner loops cost on two processors, computed by llvm-mca, not measured.
#
#   tests/bench/mca.sh [--check | --record] [KERNEL...]
#     KERNEL    rows of tests/bench/mca.kernels by name (default: all)
#     --check   compare with tests/bench/mca.limits: exit 1 where a loop got slower
#     --record  write tests/bench/mca.limits anew
#
# Compiles each kernel as the build does, cuts the innermost loop with the most multiplications out
# of the function's assembly and lets llvm-mca run it to its steady state: every load hits the first
# level, no branch is missed. How much work a round does is read from the loop itself: its multiply
# instructions, each with the products it makes, over the products that a block of 32 weights
# takes. So a loop may be unrolled in any way, and a kernel that multiplies more than it must shows.
#
# Printed: cycles a block of 32 weights (of one row; in matmuls and attention of one row and token),
# bytes a cycle, GB/s of weights that one core and four sustain at 2.4 GHz, to hold against the
# memory of a Raspberry Pi 5 (17 GB/s) and an RK3588 (34 GB/s); GOP/s of a core, two operations a
# product of the model's, whatever it takes to make it; and the share of the multipliers' cycles.
#
# Exit: 0 fine, 1 slower than the limits, 77 a tool is missing or not the limits' version.
set -eu
export LC_ALL=C
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
limits=$root/tests/bench/mca.limits
say() { printf 'mca: %s\n' "$*" >&2; }
skip() { say "SKIPPED: $*"; exit 77; }

mode=print
case ${1-} in
--check | --record) mode=${1#--}; shift ;;
esac

# Generated code and models differ between versions: the limits name theirs.
gcc=aarch64-linux-gnu-gcc
command -v $gcc >/dev/null || skip "no $gcc here: apt-get install gcc-aarch64-linux-gnu"
mca=$(command -v llvm-mca-19 || command -v llvm-mca) ||
    skip "no llvm-mca here: apt-get install llvm-19"
version=$($mca --version | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p')
[ "$version" -ge 17 ] || skip "llvm-mca $version has no models of these processors: llvm-19"
tools="gcc $($gcc -dumpversion | sed 's/\..*//') llvm-mca $version"
if [ "$mode" = check ]; then
    [ -f "$limits" ] || skip "no limits recorded"
    recorded=$(sed -n 's/^# tools: //p' "$limits")
    [ "$tools" = "$recorded" ] || skip "the limits are for $recorded, here is $tools"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The innermost loop of a function with the most multiplications, of gcc's assembly.
cut_loop() {
    awk -v function_name="$1" '
        $0 == function_name ":" { inside = 1 }
        inside && /^\t\.size/ { exit }
        !inside || /^\t\./ { next }
        { line[++lines] = $0 }
        /^\.L[0-9]+:/ { sub(":.*", ""); at[$0] = lines; next }
        /^\t(b|cb|tb)[a-z.]*\t/ {
            target = $NF
            if (target in at) { from[++loops] = at[target]; to[loops] = lines }
        }
        function products(first, last,    i, count) {
            for (i = first; i <= last; i++)
                if (line[i] ~ /^\t(sdot|smmla|fmla|smlal|smull)/) count++
            return count + 0
        }
        END {
            for (i = 1; i <= loops; i++) {
                for (j = 1; j <= loops; j++)
                    if (j != i && from[j] >= from[i] && to[j] <= to[i] && to[j] < lines) break
                if (j <= loops) continue
                count = products(from[i], to[i])
                if (count > most) { most = count; best = i }
            }
            if (best) for (i = from[best]; i <= to[best]; i++)
                if (line[i] !~ /^\.L/) print line[i]
        }' "$2"
}

# Products the loop makes and the instructions that make them. Where integers are multiplied, f32
# multiplications only scale.
count_products() {
    awk '
        /^\tsmmla/ { n++; made += 32 }
        /^\tsdot/ { n++; made += 16 }
        /^\tsml?[au]l/ { n++; made += 8 }
        /^\tfmla/ { scaled++ }
        END { print (n ? made : 4 * scaled), (n ? n : scaled) }' "$1"
}

# The processors: name, the model that is its, how many instructions it takes in a cycle and how
# many operations they may become (0: the model counts them itself). llvm models the A76 as an A57;
# the Neoverse N1 is the A76 with another cache.
model_of() {
    case $1 in
    a76) echo neoverse-n1 4 8 ;;
    n2) echo neoverse-n2 5 10 ;;
    a55) echo cortex-a55 2 0 ;;
    a72) echo cortex-a72 3 0 ;;
    a53) echo cortex-a53 2 0 ;;
    esac
}

: >"$folder/loops"
while read -r kernel source function march cpus bytes products ending; do
    case $kernel in '' | '#'*) continue ;; esac
    if [ $# -gt 0 ]; then
        case " $* " in *" $kernel "*) ;; *) continue ;; esac
    fi
    assembly=$folder/$source.$march.s
    if [ ! -f "$assembly" ]; then
        $gcc -S -O3 -DNDEBUG -std=gnu11 -ffp-contract=off -fno-math-errno \
            -fstack-protector-strong -fPIC -march="$march" -I"$root" -D_GNU_SOURCE \
            "$root/compute/cpu/$source" -o "$assembly"
    fi
    cut_loop "$function" "$assembly" >"$folder/loop"
    grep -q "^.$ending" "$folder/loop" ||
        { say "FAILED: $function has no innermost loop that multiplies, with $ending"; exit 1; }
    read -r made count <<EOF
$(count_products "$folder/loop")
EOF
    for cpu in $(echo "$cpus" | tr , ' '); do
        {
            echo "# LLVM-MCA-BEGIN $kernel"
            cat "$folder/loop"
            echo "# LLVM-MCA-END"
        } >>"$folder/$cpu.s"
        echo "$kernel $cpu $bytes $products $made $count" >>"$folder/loops"
    done
done <"$root/tests/bench/mca.kernels"

rounds=200
for cpu in a76 n2 a55 a72 a53; do
    [ -f "$folder/$cpu.s" ] || continue
    read -r model width operations <<EOF
$(model_of "$cpu")
EOF
    $mca -mtriple=aarch64-linux-gnu -mcpu="$model" -mattr=+dotprod,+i8mm,+bf16,+fullfp16 \
        -dispatch="$operations" -iterations=$rounds -resource-pressure=false \
        -instruction-info=false "$folder/$cpu.s" 2>"$folder/errors" >"$folder/out" ||
        { cat "$folder/errors" >&2; exit 1; }
    awk -v cpu="$cpu" -v rounds=$rounds -v width="$width" '
        /Code Region/ { kernel = $NF }
        /^Instructions:/ { least = $2 / rounds / width }
        /^Total Cycles:/ {
            cost = $3 / rounds
            print kernel, cpu, (cost > least ? cost : least)
        }' "$folder/out" >>"$folder/cycles"
done

awk -v mode="$mode" -v limits="$limits" -v tools="$tools" '
    BEGIN {
        if (mode == "record") {
            print "# Cycles a block, by tests/bench/mca.sh --record." >limits
            print "# tools: " tools >limits
        } else if (mode == "check") {
            while ((getline text <limits) > 0)
                if (text !~ /^#/) { split(text, part, " "); limit[part[1], part[2]] = part[3] }
        }
        format = "%-20s %-4s %7s %7s %7s %8s %7s %6s\n"
        printf format, "kernel", "cpu", "cycles/", "bytes/", "GB/s,", "GB/s,", "GOP/s,", "of"
        printf format, "", "", "block", "cycle", "1 core", "4 cores", "1 core", "peak"
    }
    FILENAME ~ /cycles$/ { cycles[$1, $2] = $3; next }
    {
        cost = cycles[$1, $2] * 32 * $4 / $5
        bytes = $3 / cost
        weights = sprintf("%7s %7s %8s", "-", "-", "-")
        if (bytes) weights = sprintf("%7.2f %7.1f %8.1f", bytes, bytes * 2.4, bytes * 9.6)
        printf "%-20s %-4s %7.2f %s %7.0f %5.0f%%\n", $1, $2, cost, weights, 64 / cost * 2.4,
            50 * $6 / cycles[$1, $2]
        if (mode == "record") printf "%s %s %.2f\n", $1, $2, cost >limits
        if (mode == "check" && !(cost <= 1.03 * limit[$1, $2])) {
            slower++
            why = why sprintf("%s on %s takes %.2f cycles a block, limit %s\n", $1, $2, cost,
                limit[$1, $2] == "" ? "not recorded" : limit[$1, $2] " + 3 %")
        }
    }
    END {
        if (!slower) exit 0
        printf "mca: FAILED: slower than tests/bench/mca.limits:\n%s", why >"/dev/stderr"
        exit 1
    }' "$folder/cycles" "$folder/loops"

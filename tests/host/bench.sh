#!/bin/bash
# bench: the grid, and llama-bench's keys and columns.
. "$(dirname "$0")/lib.sh"

# Every line of the CSV in `out` has as many values as the first has names.
even_csv() {
    local names
    names=$(head -1 out | tr ',' '\n' | wc -l)
    sed 1d out | awk -v names="$names" '{ if (gsub(/","/, "") + 1 != names) exit 1 }' ||
        fail "csv: a line has not $names values"
}
# csv_lines NAME VALUE...: how many lines of the CSV in `out` have all these values.
csv_lines() {
    awk -F'","' 'function plain(text) { gsub(/^"|"$/, "", text); return text }
        BEGIN { for (i = 1; i < ARGC; i += 2) { want[ARGV[i]] = ARGV[i + 1] }; ARGC = 1 }
        NR == 1 { split($0, name, ","); next }
        { same = 1; for (i = 1; i <= NF; i++) {
            if (name[i] in want && plain($i) != want[name[i]]) same = 0 }; lines += same }
        END { print lines + 0 }' "$@" <out
}

model
expect 0 bench -m model.gguf -p 16,32 -n 4 -pg 8,2 -d 0,24 -r 2 -t 1 -o json
json 'length == 8'
json '[.[] | [.n_prompt, .n_gen, .n_depth]] == [[16,0,0],[32,0,0],[0,4,0],[8,2,0],
      [16,0,24],[32,0,24],[0,4,24],[8,2,24]]'
json '[.[] | .avg_ts > 0 and .stddev_ts >= 0 and (.samples_ns | length) == 2 and
      (.samples_ts | length) == 2 and .n_threads == 1 and .type_k == "f16"] | all'
json '[.[] | ((.samples_ts | add / 2) / .avg_ts - 1 | fabs) < 1e-3] | all'
json '[.[] | has("build_commit") and has("model_filename") and has("model_type") and
      has("model_size") and has("model_n_params") and has("n_batch") and has("n_ubatch") and
      has("type_v") and has("test_time") and has("avg_ns") and has("stddev_ns")] | all'
# What a row comes to, against the machine; a tiny model lies in the caches and spends its time
# between ops, so the shares are small.
json '[.[] | select(.n_gen == 4) | .read_bandwidth > 0 and .bandwidth_fraction > 0 and
      .bandwidth_fraction < 2 and .cache_bytes_per_token > 0 and
      (.bytes_per_second / (.weight_bytes_per_token + .cache_bytes_per_token) / .avg_ts
       - 1 | fabs) < 1e-3 and .operations_per_token == null and .arithmetic_fraction == null] | all'
json '[.[] | .read_bandwidth >= .read_bandwidth_median and .read_bandwidth_median > 0] | all'
json '[.[] | select(.n_gen == 0) | .operations_per_token > 0 and .bandwidth_fraction == null and
      (.operations_per_second * .avg_ns / 1e9 / (.operations_per_token * .n_prompt) - 1 | fabs)
      < 1e-3] | all'
json '[.[] | select(.n_gen == 0 and (.peaks | length) > 0) | .arithmetic_peak > 0 and
      .arithmetic_fraction > 0 and .arithmetic_fraction < 2 and
      all(.peaks[]; .operations_per_second > 0 and .products > 0)] | all'
json '(.[2].cache_bytes_per_token < .[6].cache_bytes_per_token) and all(.[]; has("times") | not)'
# By hand, from the header: all matrices that a token passes, its experts only, logits once.
expect 0 inspect model.gguf --json
products=$(jq '16 as $tokens | 3 as $used | [.tensors[] | select(.dims[1]) |
    select(.name | endswith(".weight") and . != "token_embd.weight") |
    .dims[0] * .dims[1] * (if .name == "output.weight" then 1 else $tokens end) *
    (if .dims[2] then $used else 1 end)] | add' out)
expect 0 bench -m model.gguf -p 16 -n 0 -r 1 -t 1 -o json
json ".[0].operations_per_token == 2 * $products / 16"
expect 0 bench -m model.gguf -p 8 -n 2 -r 1 -t 1 -o csv
[ "$(wc -l <out)" = 3 ] || fail "csv has not three lines"
even_csv
[ "$(csv_lines weights mapped first_token_prompt 64)" = 2 ] || fail "csv: does not tell the start"
expect 0 bench -m model.gguf -p 8 -n 2 -d 5 -r 1 -t 1
prints '| model                          |       size |     params | backend    | threads |'
number=' +[0-9.]+'
row="^\\| .* \\|$number [KMG]iB \\|$number [MB] \\| CPU +\\| +1 \\| +pp8 @ d5 \\|"
row="$row$number ± [0-9.]+ \\|\$"
grep -Eq "$row" out || fail "the table's row is not llama-bench's"
prints "start: ready in "
prints " with weights mapped, the first token "
prints "read bandwidth:"
prints "GOP of matrices a token"
prints "GB of cache a token"
expect 1 bench -m model.gguf -p 0 -n 0
says "nothing to measure"
expect 1 bench -m model.gguf -o xml
says "none of table, json, csv"
expect 0 bench -m model.gguf -p 8 -n 2 -r 1 -t 2 --profile -o json
json '.[0].times.prefill_steps == 1 and .[1].times.decode_steps >= 2 and
      (.[0] | ([.times.prefill[].ns] | add) as $sum | $sum > 0 and $sum <= .samples_ns[0])'
json '.[1].times.decode | any(.op == "expert up" and .ns > 0 and .bytes > 0 and .operations > 0)'
expect 0 bench -m model.gguf -p 8 -n 2 -r 1 -t 1 --profile
prints "matmuls together"
prints "expert down"
expect 0 bench -m model.gguf -p 8 -n 2 -r 1 -t 1 --profile -o csv
even_csv
[ "$(csv_lines op "")" = 2 ] || fail "csv: not one line a test without an op"
[ "$(csv_lines n_prompt 8 step prefill op "expert up")" = 1 ] || fail "csv: prefill lacks an op"
[ "$(csv_lines n_gen 2 step decode op "expert up")" = 1 ] || fail "csv: decode lacks an op"
[ "$(csv_lines n_gen 2 step prefill)" = 0 ] || fail "csv: prefill's ops in a row that writes"
# How it started: the context of another run has less room than the first prompt wants.
expect 0 bench -m model.gguf -p 8 -n 2 -r 1 -t 1 --weights resident --context 32 -o json
json 'all(.[]; .weights == "resident" and .load_ns > 0 and .first_token_ns > 0 and
      .first_token_prompt == 24)'
json_cpu='.[0] | .backends == "CPU" and .gpu_info == "" and .device_tier == ""'
expect 0 bench -m model.gguf -p 8 -n 0 -r 1 --device cpu -o json
json "$json_cpu and .dispatches_per_token == 0"

if has_vulkan; then
    expect 0 bench -m model.gguf -p 8 -n 2 -r 1 --device vulkan --vulkan-tier base -o json --profile
    json 'all(.[]; .backends == "Vulkan" and .gpu_info != "" and .device_tier == "base" and
          .dispatches_per_token > 0 and .barriers_per_token > 0 and .submissions_per_token > 0)'
    json 'all(.[]; .read_bandwidth > 0) and .[1].bandwidth_fraction > 0'
    json '.[0].times.prefill_steps >= 1 and (.[0].times.prefill | length) > 3 and
          (.[0].times.decode == []) and (.[1].times.decode | any(.op == "logits" and .ns >= 0))'
    expect 0 bench -m model.gguf -p 8 -n 2 -r 1 --device vulkan --vulkan-tier base
    prints "| Vulkan "
    prints "device: vulkan:"
    prints "a decode step: "
    prints "by the device"
    expect 0 bench -m model.gguf -p 8 -n 2 -r 1 --device vulkan --vulkan-tier base -o csv
    even_csv
    [ "$(csv_lines weights device)" = 2 ] || fail "csv: weights are not on the device"
fi

finish

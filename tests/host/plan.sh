#!/bin/bash
# plan, boards and inspect.
. "$(dirname "$0")/lib.sh"

model
expect 0 plan -m model.gguf
prints total
expect 0 plan -m model.gguf --json --board tiny
json '.fits == true and .context == 512 and .board == "tiny"'
json '([.regions[].bytes] | add) == .total_bytes'
json '[.regions[] | has("name") and has("where") and has("bytes")] | all'
expect 6 plan -m model.gguf --json --budget 1K
json '.fits == false and .budget_bytes == 1000'
expect 6 run -m model.gguf --budget 1K hello
one_line
expect 1 plan -m model.gguf --board tinny
says "did you mean tiny?"
echo '{"name": "mine", "description": "d", "memory_budget": "2G", "context": 64,
"kv": "q8", "threads": 1, "weigths": "auto"}' >mine.json
expect 4 plan -m model.gguf --board mine.json
says 'mine.json:2: weigths: unknown key; did you mean "weights"?'
sed -i s/weigths/weights/ mine.json
expect 0 plan -m model.gguf --board mine.json --json
json '.board == "mine" and .kv == "q8" and .context == 64 and .threads == 1'
expect 0 plan -m model.gguf --board mine.json --json --kv f16 --context 100 -t 2
json '.kv == "f16" and .context == 100 and .threads == 2'
# Without a driver: said so, and nothing but an explicit wish for it fails.
without_driver 5 plan -m model.gguf --device vulkan
one_line
without_driver 0 plan -m model.gguf --device auto --json
json '.device == "cpu" and .device_index == -1 and .device_bytes == 0 and has("device_note")'
silent err
expect 1 plan -m model.gguf --device vulkan:x
says "vulkan:N"
expect 1 plan -m model.gguf --device cpu --vulkan-tier base
says "--vulkan-tier is for a Vulkan device"
one_line
expect 1 plan -m model.gguf --vulkan-tier dott
says "did you mean dot?"
expect 0 plan -m model.gguf --device cpu
prints "on the CPU"
if has_vulkan; then
    expect 0 plan -m model.gguf --device vulkan --json
    json '.device_index >= 0 and .device != "cpu" and .weights == "device"'
    json '([.regions[] | select(.where == "device").bytes] | add) == .device_bytes'
    json '([.regions[] | select(.where == "host" or .where == "reserve").bytes] | add) ==
          .memory_bytes'
    index=$(jq .device_index out)
    expect 0 plan -m model.gguf --device "vulkan:$index"
    prints "on vulkan:$index"
    prints "total of the device"
    prints "total of the machine"
    expect 1 plan -m model.gguf --device vulkan:15
    says "counted from 0"
    one_line
fi
expect 5 plan -m model.gguf --cpu-level z80
says z80
expect 3 plan -m /nonexistent.gguf
one_line
head -c 1000 model.gguf >cut.gguf
expect 4 plan -m cut.gguf
one_line
expect 0 inspect model.gguf
prints general.architecture
expect 0 inspect model.gguf --json
json 'type == "object"'

finish

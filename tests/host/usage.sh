#!/bin/bash
# Help, near misses and exit codes of every command.
. "$(dirname "$0")/lib.sh"

expect 1
says "no command"
expect 0 --help
prints "Exit codes"
expect 0 --version
expect 1 rnu
says "did you mean run?"
one_line
for command in run chat plan score tokenize harmony bench inspect verify devices selftest \
    version; do
    expect 0 "$command" --help
    prints "usage: ossicle $command"
    prints "Exit codes"
    silent err
    expect 0 help "$command"
    expect 1 "$command" --no-such-option
    says "unknown option '--no-such-option'"
    one_line
    silent out
done
for command in run chat plan score tokenize bench; do
    expect 1 "$command" --context
    says "--context needs a value"
done
expect 0 version --json
json '.version and .arch and .devices == ["cpu", "vulkan"]'
expect 1 verify
says "which FILE?"
expect 3 inspect /nonexistent
says "/nonexistent"

finish

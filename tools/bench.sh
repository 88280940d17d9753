#!/bin/sh
# bench.sh: every benchmark program of the build, one after the other.
set -eu
build=${BUILD:-build}
for program in "$build"/bench/*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    echo "== $(basename "$program")"
    "$program"
done

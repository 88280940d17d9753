#!/bin/sh
# bench.sh: every kernel benchmark of the build, then emily beside its peers (bench/compare.sh; PYTHON, THREADS).
set -eu
build=${BUILD:-build}
for program in "$build"/bench/kernels_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    echo "== $(basename "$program")"
    "$program"
done
echo "== peers"
BUILD=$(cd "$build" && pwd) sh bench/compare.sh

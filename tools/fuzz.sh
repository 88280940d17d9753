#!/bin/sh
# fuzz.sh BUILD SECONDS: each fuzz target of BUILD runs for SECONDS, from the seeds in tests/fuzz/corpus. What it learns
# stays in BUILD/corpus; an input that breaks something is left in BUILD as TARGET-crash-*, and the script fails.
set -eu
build=$1 seconds=$2
found=0 targets=0
for target in "$build"/tests/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=$(basename "$target")
    targets=$((targets + 1))
    seeds=tests/fuzz/corpus/${name#fuzz_}
    learned=$build/corpus/$name
    mkdir -p "$learned"
    echo "== $name, $seconds s"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/$name-" "$learned" $([ -d "$seeds" ] && echo "$seeds") >"$build/$name.log" 2>&1 || {
        tail -40 "$build/$name.log"
        found=$((found + 1))
    }
    grep -E 'number_of_executed_units|new_units_added' "$build/$name.log" || true
done
echo "$targets targets, $found with findings"
[ "$found" = 0 ] && [ "$targets" != 0 ]

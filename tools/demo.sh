#!/bin/sh
# demo.sh: what Emily does, in a minute: a real checkpoint answers searches over the sentences of examples/data.
# The checkpoint comes from get-model.sh; BUILD names the build folder.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
model=$build/models/all-MiniLM-L6-v2
emily=$build/emily

if ! sh tools/get-model.sh "$model"; then
    echo "demo: without the checkpoint there is nothing to show; everything else works: make test" >&2
    exit 1
fi
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold= plain=
fi

# The command as a person would type it, with `emily` and a short name for the model, then what it says.
show() {
    printf '\n%s$ emily' "$bold"
    for word in "$@"; do
        case $word in
        "$model") word=all-MiniLM-L6-v2 ;;
        "$build"/*) word=${word#"$build"/} ;;
        esac
        case $word in
        *[!A-Za-z0-9_./=-]*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
    "$emily" "$@"
}

rm -f "$build/demo.idx"
show info "$model"
show embed "$model" --format human "A man is eating food." "Someone has lunch." "The train is late."
show search "$model" examples/data --index "$build/demo.idx" "how do plants make energy" -k 3
show search "$model" --index "$build/demo.idx" "travel plans that went wrong" -k 3
show search "$model" --index "$build/demo.idx" "why did everything become more expensive?" -k 3
printf '\n%d sentences were embedded once; the second and third search reopened the index.\n' \
    "$(cat examples/data/*.txt | wc -l)"

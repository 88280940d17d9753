#!/bin/sh
# demo.sh: what Emily does: the small model of models/primer chats, and a real checkpoint answers searches
# over the sentences of examples/data. That one comes from get-model.sh; BUILD names the build folder.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
model=$build/models/all-MiniLM-L6-v2
emily=$build/emily

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold= plain=
fi

# The command as a person types it in this folder, then what it says.
show() {
    printf '\n%s$ %s' "$bold" "$emily"
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./=-]*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
    "$emily" "$@"
}

# A conversation: each line is asked, and stands before its answer.
chat() {
    printf '\n%s$ %s chat %s%s\n' "$bold" "$emily" "$1" "$plain"
    cat >"$build/demo.asked"
    "$emily" chat "$1" <"$build/demo.asked" >"$build/demo.told"
    sed "s/^/> /" "$build/demo.asked" | paste -d '\n' - "$build/demo.told"
}

show info models/primer
chat models/primer <<'END'
Hello!
My name is Ada.
What is 17 + 25?
And plus 3?
Spell umbrella backwards.
What is the capital of Japan?
Who wrote Hamlet?
What is my name?
END
show generate models/primer "Which month is just before October?" --stats

if ! sh tools/get-model.sh "$model"; then
    echo "demo: without the checkpoint there is no search to show; everything else works: make test" >&2
    exit 1
fi
rm -f "$build/demo.idx"
show info "$model"
show embed "$model" --format human "A man is eating food." "Someone has lunch." "The train is late."
show search "$model" examples/data --index "$build/demo.idx" "how do plants make energy" -k 3
show search "$model" --index "$build/demo.idx" "travel plans that went wrong" -k 3
show search "$model" --index "$build/demo.idx" "why did everything become more expensive?" -k 3
printf '\n%d sentences were embedded once; the second and third search reopened the index.\n' \
    "$(cat examples/data/*.txt | wc -l)"

#!/bin/sh
# symbols.sh exported LIB.so   the shared library exports exactly the names in emily.map, all declared in a public header
# symbols.sh linkable LIB.a    every global name of the objects starts with em_
# symbols.sh bless LIB.so      rewrites emily.map
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
map=$here/emily.map
headers=$here/../../include/emily
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

exported() {
    nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u
}

case $1 in
bless)
    exported "$2" >"$map"
    echo "emily.map: $(wc -l <"$map") names"
    ;;
exported)
    exported "$2" >"$work/now"
    sort -u "$map" >"$work/agreed"
    if ! diff -u "$work/agreed" "$work/now"; then
        echo "the exports differ from tests/symbols/emily.map (- was, + is); if that is meant: make bless-symbols"
        exit 1
    fi
    cat "$headers"/*.h "$headers"/*.def >"$work/headers" 2>/dev/null || true
    while read -r name; do
        case $name in
        em__*) echo "$name: internal names are not exported" ;;
        em_*) grep -Eqw "$name|${name#em_}" "$work/headers" || echo "$name: exported, but in no public header" ;;
        *) echo "$name: exported names start with em_" ;;
        esac
    done <"$work/now" >"$work/wrong"
    cat "$work/wrong"
    test ! -s "$work/wrong"
    ;;
linkable)
    nm -g --defined-only "$2" 2>/dev/null | awk 'NF == 3 && $3 !~ /^em_/ { print $3 ": not static, not em_"; bad = 1 } END { exit bad }'
    ;;
esac

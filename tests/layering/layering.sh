#!/bin/sh
# layering.sh ROOT [LAYERS]: reads every #include of ROOT/src and ROOT/include/emily and names each one that points to a
# layer that the file's own layer may not see. The table is LAYERS, by default the file beside this script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
layers=${2:-$here/layers}
cd "$1"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find src include -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null |
    sort >"$list" || true
xargs awk '
# "src/device/cpu/x.c" or "device/device.h" gives device; "emily/dtype.h" gives what the table says of dtype.
function layer_of(path, parts, n) {
    sub(/^(src|include)\//, "", path)
    n = split(path, parts, "/")
    if (path ~ /\.def$/)
        return "core"
    if (parts[1] != "emily")
        return n > 1 ? parts[1] : ""
    sub(/\.[a-z]+$/, "", parts[2])
    return parts[2] in header ? header[parts[2]] : parts[2]
}
function complain(text) { print text; bad = 1 }
FNR == 1 { reading_table = FILENAME == ARGV[1] }
reading_table {
    if ($0 ~ /^#/ || NF == 0) next
    name = $1; sub(/:$/, "", name)
    if (name ~ /^</) {
        gsub(/[<>]/, "", name)
        for (i = 2; i <= NF; i++) header[$i] = name
        next
    }
    for (i = 2; i <= NF; i++)
        if ($i == "*") for (other in known) allowed[name, other] = 1
        else allowed[name, $i] = 1
    known[name] = allowed[name, name] = 1
    next
}
FNR == 1 {
    from = layer_of(FILENAME)
    if (!(from in known)) complain(FILENAME ": layer \"" from "\" is not in " ARGV[1])
}
/^[ \t]*#[ \t]*include[ \t]*(<emily\/|")/ {
    path = $0
    sub(/^[^<"]*[<"]/, "", path); sub(/[>"].*/, "", path)
    to = layer_of(path)
    if (to == "") complain(FILENAME ":" FNR ": include \"" path "\" by its path from src/, such as \"core/" path "\"")
    else if (!(to in known)) complain(FILENAME ":" FNR ": layer \"" to "\" of " path " is not in " ARGV[1])
    else if (!((from, to) in allowed)) complain(FILENAME ":" FNR ": " from " may not include " path " of " to)
}
END { exit bad }' "$layers" <"$list" && echo "layering: $(wc -l <"$list") files, no arrow points up"

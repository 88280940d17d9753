#!/bin/sh
# check_style.sh [ROOT]: the rules of check_style.awk over every C and CUDA file; clang-format's opinion where it is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/..}"
export LC_ALL=C
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for dir in include src tests bench examples tools; do
    if [ -d $dir ]; then find $dir -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \); fi
done | sort >"$list"
xargs awk -f "$here/check_style.awk" <"$list"
echo "style: $(wc -l <"$list") files keep the rules"

format=$(command -v clang-format || command -v clang-format-14 || true)
if [ -n "$format" ] && [ -f .clang-format ]; then
    untidy=$(xargs "$format" --dry-run 2>&1 <"$list" | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: warning: code should be.*/\1/p' | sort -u)
    [ -z "$untidy" ] || echo "clang-format would change $(echo "$untidy" | wc -l) files (make format):" $untidy
fi

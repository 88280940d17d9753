#!/bin/sh
# run.sh [--bless] EMILY [CASE ...]: runs cases/*/cmd with the command EMILY and compares what comes out.
#
#   cmd               a shell script; it runs in an empty folder in which `models` leads to the golden checkpoints
#   out, err          what it must print, byte by byte; nothing when the file is missing
#   out.glob err.glob the same with * for any text in a line, and a line ** for any lines
#   code              its exit code; 0 when missing
#
# --bless rewrites out, err and code of the cases; patterns are left to their writer. Exit 0 when all cases pass.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bless=
if [ "${1:-}" = --bless ]; then
    bless=1
    shift
fi
emily=${1:?run.sh [--bless] EMILY [CASE ...]}
shift
emily=$(cd "$(dirname "$emily")" && pwd)/$(basename "$emily")
[ $# -gt 0 ] || set -- $(ls "$here/cases")

top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
mkdir "$top/bin"
ln -s "$emily" "$top/bin/emily"
unset EMILY_DEVICE EMILY_LOG HF_HOME HF_HUB_CACHE HF_ENDPOINT HF_TOKEN HF_HUB_OFFLINE NO_COLOR CLICOLOR LANGUAGE
export LC_ALL=C TERM=dumb HF_HOME="$top/huggingface" PATH="$top/bin:$PATH" ROOT="$here/../.."

matches() { # PATTERN-FILE ACTUAL-FILE
    awk -v patterns="$1" '
        function regex(line) {
            gsub(/[][\\.^$+?(){}|]/, "\\\\&", line)
            gsub(/\*/, ".*", line)
            return "^" line "$"
        }
        BEGIN { while ((getline line < patterns) > 0) pattern[++count] = line; at = 1 }
        {
            if (pattern[at] == "**") {
                if (at < count && $0 ~ regex(pattern[at + 1])) at += 2
                next
            }
            if (at > count || $0 !~ regex(pattern[at])) { print "line " NR " is: " $0; print "expected: " pattern[at]; bad = 1; exit }
            at++
        }
        END {
            if (!bad && pattern[at] == "**") at++
            if (!bad && at <= count) { print "missing: " pattern[at]; bad = 1 }
            exit bad
        }' "$2"
}

check() { # CASE STREAM
    wanted=$here/cases/$1/$2 actual=$top/$1.$2
    if [ -f "$wanted.glob" ]; then
        matches "$wanted.glob" "$actual"
    elif [ -n "$bless" ]; then
        if [ -s "$actual" ]; then cp "$actual" "$wanted"; else rm -f "$wanted"; fi
    elif [ -f "$wanted" ]; then
        diff "$wanted" "$actual"
    else
        diff /dev/null "$actual"
    fi
}

failed=0
for name in "$@"; do
    mkdir "$top/$name"
    ln -s "$here/../golden/models" "$top/$name/models"
    code=0
    (cd "$top/$name" && sh "$here/cases/$name/cmd") >"$top/$name.out" 2>"$top/$name.err" </dev/null || code=$?
    if [ "$code" -eq 77 ]; then
        echo "skip $name: $(cat "$top/$name.out")"
        [ $# -gt 1 ] || exit 77
        continue
    fi
    expected=0
    [ ! -f "$here/cases/$name/code" ] || expected=$(cat "$here/cases/$name/code")
    if [ -n "$bless" ] && [ "$code" -ne "$expected" ]; then
        if [ "$code" -eq 0 ]; then rm "$here/cases/$name/code"; else echo "$code" >"$here/cases/$name/code"; fi
        expected=$code
    fi
    if { check "$name" out && check "$name" err && [ "$code" -eq "$expected" ]; } >"$top/report" 2>&1; then
        echo "ok   $name"
    else
        failed=1
        echo "FAIL $name (exit code $code, expected $expected)"
        sed 's/^/     /' "$top/report"
        [ ! -s "$top/$name.err" ] || sed 's/^/     stderr: /' "$top/$name.err" | head -20
    fi
    chmod -R u+w "$top/$name" 2>/dev/null
    rm -rf "$top/$name"
done
exit $failed

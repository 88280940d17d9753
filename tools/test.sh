#!/bin/sh
# test.sh BUILD JOBS: runs ctest in BUILD; the last line is "N passed, N failed, N skipped", and it fails if any did.
set -eu
build=$1 jobs=${2:-2}
report=$(pwd)/$build/tests.xml
ctest --test-dir "$build" -j "$jobs" --output-on-failure --output-junit "$report" || true
awk '
function attribute(name, text) {
    if (!match(text, name "=\"[0-9]+\"")) return 0
    return substr(text, RSTART + length(name) + 2, RLENGTH - length(name) - 3) + 0
}
/<testsuite / { in_suite = 1 }
in_suite { gsub(/\t/, " "); head = head " " $0 }
/>/ { if (in_suite) exit }
END {
    all = attribute(" tests", head); failed = attribute("failures", head)
    skipped = attribute("skipped", head) + attribute("disabled", head)
    if (!all) print "no test was found"
    printf "%d passed, %d failed, %d skipped\n", all - failed - skipped, failed, skipped
    exit failed > 0 || all == 0
}' "$report"

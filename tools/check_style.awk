# The rules of the house that a line reader can check; see CONTRIBUTING.md. Prints file:line: fault, exits 1 on any.
# A function is what stands between a lone { and a lone } in column one: the brace style makes that exact.

function fault(text) { print FILENAME ":" FNR ": " text; bad = 1 }

function end_of_file() {
    if (lines > 1000) { print last_name ": " lines " lines, at most 1000: split it by subject"; bad = 1 }
    else if (lines > 600) print last_name ": warning: " lines " lines; over 600 is a sign of two subjects"
}

# The line without comments and the contents of strings. `in_comment` lives across lines.
function code_of(line, out, i, c, two, quote) {
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1); two = substr(line, i, 2)
        if (in_comment) { if (two == "*/") { in_comment = 0; i++ } }
        else if (quote != "") { if (c == "\\") i++; else if (c == quote) { quote = ""; out = out c } }
        else if (two == "/*") { in_comment = 1; i++ }
        else if (two == "//") break
        else { if (c == "\"" || c == "'") quote = c; out = out c }
    }
    return out
}

function check_words(code) {
    if (code ~ /(^|[^A-Za-z0-9_])(sprintf|vsprintf|strcpy|strcat|stpcpy|gets|atoi|atol|atof|strtok|alloca)[ ]*\(/)
        fault("banned function; snprintf, em__str, em__parse_i64 and em__alloc are there for this")
    if (FILENAME ~ /^src\// && FILENAME !~ /^src\/(cli|serve)\// &&
        code ~ /(^|[^A-Za-z0-9_])(abort|exit|_exit|printf|puts|putchar|perror)[ ]*\(/)
        fault("the library neither prints nor ends the process: return a status, log with em__log")
    if (FILENAME ~ /^src\// && FILENAME !~ /^src\/(cli|serve)\/|core\/log\.c$/ && code ~ /(^|[^A-Za-z0-9_])stderr([^A-Za-z0-9_]|$)/)
        fault("stderr belongs to the command and to core/log.c")
    if (FILENAME ~ /^src\// && FILENAME !~ /^src\/(cli|serve)\/|(core\/(alloc|block)|device\/cuda\/bridge)\.c$/ &&
        code ~ /(^|[^A-Za-z0-9_>.])(malloc|calloc|realloc|free|strdup|strndup)[ ]*\(/)
        fault("memory comes from core/alloc.h, so that it is counted and can be made to fail")
}

FNR == 1 {
    if (last_name != "") end_of_file()
    in_comment = 0; start = 0; last_name = FILENAME
    if ($0 !~ /^(\/\*|\/\/)/) fault("a file opens with a comment: its subject")
}
{
    lines = FNR
    width = $0; gsub(/[\200-\277]/, "", width)
    if (length(width) > 120) fault("over 120 columns")
    if (/\t/) fault("tab")
    if (/[ \t\r]$/) fault("blank at the end of the line")
    if (/(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)/) fault("an unfinished thought: finish it or open an issue")
    if (/^[ ]*#[ ]*if[ ]+[01]([ ]|$)/) fault("#if 0/1: git remembers, delete it")
    if ($0 == "{") start = FNR
    if ($0 == "}" && start) {
        if (FNR - start + 1 > 60) fault("function of " FNR - start + 1 " lines, at most 60: name its stages")
        start = 0
    }
    check_words(code_of($0))
}
END { if (last_name != "") end_of_file(); exit bad }

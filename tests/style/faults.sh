#!/bin/sh
# faults.sh ROOT: check_style finds each fault that it should, and none in a clean file.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src/core" "$work/src/cli"
root=$1
failed=0

# try clean|fault WHAT FILE, with the file's text on standard input
try() {
    cat >"$work/src/$3"
    if sh "$root/tools/check_style.sh" "$work" >"$work/out" 2>&1; then got=clean; else got=fault; fi
    if [ $got != "$1" ]; then
        echo "$2: wanted $1, got $got"
        cat "$work/out"
        failed=1
    fi
    rm "$work/src/$3"
}

echo '/* Clean: sprintf( in a comment. */
static const char *text = "strcpy( in a string \" exit(1)";' | try clean strings core/a.c
echo 'int x;' | try fault "no opening comment" core/a.c
printf '/* Tab. */\n\tint x;\n' | try fault tab core/a.c
printf '/* Blank. */\nint x; \n' | try fault "trailing blank" core/a.c
printf '/* Wide. */\nint %0130d;\n' 0 | try fault "wide line" core/a.c
printf '/* Banned. */\nint y = atoi("1");\n' | try fault atoi core/a.c
printf '/* Member. */\nint y = x->free(x);\n' | try clean "member called free" core/a.c
printf '/* Heap. */\nvoid *y = malloc(1);\n' | try fault malloc core/a.c
printf '/* Ends. */\nint y = exit(1);\n' | try fault "exit in the library" core/a.c
printf '/* Ends. */\nint y = exit(1);\n' | try clean "exit in the command" cli/a.c
printf '/* Off. */\n#if 0\n#endif\n' | try fault "#if 0" core/a.c
printf '/* Later. */\n/* %s */\n' TO''DO | try fault "unfinished" core/a.c
{ printf '/* Long. */\nvoid f(void)\n{\n'; yes '    x();' | head -60; echo '}'; } | try fault "long function" core/a.c
{ printf '/* Short. */\nvoid f(void)\n{\n'; yes '    x();' | head -57; echo '}'; } | try clean "short function" core/a.c
{ printf '/* Big. */\n'; yes 'int x;' | head -1000; } | try fault "big file" core/a.c
exit $failed

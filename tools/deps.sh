#!/bin/sh
# deps.sh check     says which packages are missing, with the line that installs them; fails if any is
# deps.sh install   installs them, as root or through sudo
# deps.sh list      prints them all
set -eu

# package, and the command, pkg-config module or header that shows it is there; `demo` and `fast` are not
# needed to build
needed='
gcc            command cc
g++            command c++
libc6-dev      header  stdio.h
cmake          command cmake
make           command make
pkg-config     command pkg-config
libcmocka-dev  module  cmocka
libjansson-dev module  jansson
libpcre2-dev   module  libpcre2-8
libutf8proc-dev module libutf8proc
libcurl4-openssl-dev module libcurl
libedit-dev    header  histedit.h
liblapacke-dev module lapacke
libmicrohttpd-dev module libmicrohttpd
python3-pip    demo    pip3
libopenblas0-pthread fast libopenblas.so.0
'

is_there() {
    case $1 in
    command) command -v "$2" ;;
    demo) [ "$mode" = check ] || command -v "$2" ;;
    fast) [ "$mode" = check ] || /sbin/ldconfig -p | grep -F "$2" ;;
    module) command -v pkg-config && pkg-config --exists "$2" ;;
    header) echo "#include <$2>" | cc -E - ;;
    esac >/dev/null 2>&1
}

mode=${1:-check}
missing=$(echo "$needed" | while read -r package kind name; do
    [ -z "$package" ] || is_there "$kind" "$name" || printf ' %s' "$package"
done)

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
line="${sudo:+sudo }apt-get install -y --no-install-recommends$missing"

case $mode in
list)
    echo "$needed" | awk 'NF { print $1 }'
    ;;
check)
    [ -n "$missing" ] || exit 0
    echo "emily needs packages that are not installed here. On Debian or Ubuntu:" >&2
    echo "    ${sudo:+sudo }apt-get update && $line" >&2
    echo "or: sh tools/deps.sh install" >&2
    exit 1
    ;;
install)
    [ -n "$missing" ] || exit 0
    if ! command -v apt-get >/dev/null; then
        echo "no apt-get here; install what your system calls these:$missing" >&2
        exit 1
    fi
    if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
        echo "this needs root: $line" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -q
    $line
    ;;
esac

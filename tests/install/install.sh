#!/bin/sh
# install.sh pkgconfig|cmake BUILD WORK CC: what make install leaves is enough for a stranger, also after it was moved.
set -eu
way=$1 build=$2 work=$3 cc=$4
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/first" >"$work/log"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
lib=$(dirname "$(find "$prefix" -name libemily.a)")

# Hardened and ready to be packaged: all symbols bound at start, a soname, no path of the build machine.
dynamic=$(readelf -dW "$lib"/libemily.so)
for wanted in 'soname: \[libemily\.so\.[0-9]*\]' 'FLAGS.*NOW'; do
    echo "$dynamic" | grep -q "$wanted" || { echo "libemily.so: no $wanted in its dynamic section"; exit 1; }
done
if echo "$dynamic" | grep -E 'RPATH|RUNPATH|TEXTREL'; then exit 1; fi
if [ -x "$prefix/bin/emily" ]; then
    readelf -hW "$prefix/bin/emily" | grep -q 'DYN' || { echo "bin/emily is not position-independent"; exit 1; }
fi

# Plugins lie where the library looks for them, show one symbol, and need no CUDA library to be loaded.
for plugin in "$lib"/emily/*.so; do
    [ -f "$plugin" ] || continue
    names=$(nm -D --defined-only "$plugin" | awk '{ print $3 }')
    [ "$names" = em_plugin_device ] || { echo "$plugin exports" $names; exit 1; }
    dynamic=$(readelf -dW "$plugin")
    echo "$dynamic" | grep -q 'FLAGS.*NOW' || { echo "$plugin: symbols are not bound at start"; exit 1; }
    if echo "$dynamic" | grep -E 'RPATH|RUNPATH|TEXTREL|NEEDED.*(libcu|libnv)'; then exit 1; fi
done

run_shared() { LD_LIBRARY_PATH=$lib "$@" >/dev/null; }
# Runs where no shared libemily can be found.
run_static() { env -u LD_LIBRARY_PATH "$@" >/dev/null; }

if [ "$way" = pkgconfig ]; then
    export PKG_CONFIG_PATH=$lib/pkgconfig
    cflags=$(pkg-config --cflags emily)
    libs=$(pkg-config --libs emily)
    archive=$(pkg-config --static --libs emily | sed 's/-lemily/-l:libemily.a/')
    compile() {
        "$@" $cflags -Wall -Werror "$here/consumer/consumer.c" -o "$work/shared" $libs
        "$@" $cflags -Wall -Werror "$here/consumer/consumer.c" -o "$work/static" $archive
        run_shared "$work/shared"
        run_static "$work/static"
    }
    compile "$cc" -x c -std=c11
    cxx=$(command -v c++ || command -v g++ || command -v clang++ || true)
    [ -z "$cxx" ] || compile "$cxx" -x c++ -std=c++17
else
    cmake -S "$here/consumer" -B "$work/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" >>"$work/log"
    cmake --build "$work/build" >>"$work/log"
    run_shared "$work/build/consumer_shared"
    run_static "$work/build/consumer_static"
fi

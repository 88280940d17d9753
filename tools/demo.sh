#!/bin/sh
# demo.sh: fetches the demo's checkpoint, then searches real sentences with it.
set -eu
build=${BUILD:-build}
model=$build/models/all-MiniLM-L6-v2
sh tools/get-model.sh "$model"

#!/bin/sh
# format.sh: clang-format in place over every C and CUDA file of the tree.
set -eu
format=$(command -v clang-format || command -v clang-format-14) || {
    echo "clang-format is not installed: apt-get install clang-format" >&2
    exit 1
}
find include src tests bench examples tools -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) | sort | xargs "$format" -i

#!/bin/sh
# compare.sh [NAME...]: emily beside its peers, one table after another (default: all), then the picture.
# BUILD (build) is where emily was built, PYTHON a Python that has the peers (python3), THREADS one count for all.
# Peers: torch transformers sentence-transformers tokenizers onnxruntime openvino onnx onnxscript jax scipy mlx[cpu].
# Without torch there is nobody to compare with: then only the machine's limits and emily's own times are printed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=${BUILD:-$root/build}
python=${PYTHON:-python3}
threads=${THREADS:-$(nproc)}
[ $# -gt 0 ] || set -- encoders text tokenizer_speed cold ops chains small fast index order fourier random_numbers \
    conv dots quant accuracy

echo "limits: $("$build/bench/limits" "$threads")"
if ! "$python" -c 'import torch, numpy' 2>/dev/null; then
    echo "no peers: $python has no torch (PYTHON=/path/to/a/python with torch, transformers, onnxruntime, openvino)"
    model=${EMILY_TEST_MODEL:-$build/models/all-MiniLM-L6-v2}
    [ ! -f "$model/config.json" ] || EMILY_THREADS=$threads "$build/emily" bench "$model"
    exit 0
fi
status=0
for name in "$@"; do
    echo
    "$python" "$here/peers/$name.py" --threads "$threads" --build "$build" || status=$?
done
"$python" "$here/report.py" "$build/bench" "$root/docs/speed.svg" "$root/docs/speed.md"
echo "drawn: docs/speed.svg; tables: docs/speed.md"
exit $status

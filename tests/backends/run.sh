#!/usr/bin/env bash
# Compares JAX and PyTorch with TensorFlow and trains on them, each in its own environment
# (.venv-jax, .venv-torch; built once, and again when its requirements change).
set -euo pipefail
cd "$(dirname "$0")/../.."
reference=$(mktemp -d)
trap 'rm -rf "$reference"' EXIT

.venv/bin/python tests/backends/make_reference.py "$reference"
for backend in jax torch; do  # both before the tests: JAX' workers are started by torchrun, too
    bash tests/environment.sh .venv-$backend tests/backends/requirements-$backend.txt
done
quick="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
quick+=" --xla_cpu_parallel_codegen_split_count=1"
for backend in jax torch; do
    venv=.venv-$backend
    # One thread: PyTorch's wait busily for each other on a machine that has other work. XLA keeps
    # what it compiled, which is most of the time that JAX takes here, and compiles to code that runs
    # slower, by its older emitters, into one module: in a third of the time.
    echo "== $backend"
    env KERAS_BACKEND=$backend FASTSCNN_REFERENCE="$reference" OMP_NUM_THREADS=1 \
        XLA_FLAGS="$quick" \
        JAX_COMPILATION_CACHE_DIR="$PWD/$venv/compiled" \
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
        "$venv/bin/python" -m pytest tests/backends/check_backend.py tests/backends/check_teacher.py \
        tests/backends/check_workers.py tests/data/test_objects.py
done

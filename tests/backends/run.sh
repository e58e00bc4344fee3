#!/usr/bin/env bash
# `run.sh jax|torch`: compares it with TensorFlow and trains on it, in the environment of `setup.sh`.
set -euo pipefail
cd "$(dirname "$0")/../.."
backend=$1 venv=.venv-$1
quick="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
quick+=" --xla_cpu_parallel_codegen_split_count=1"
# One thread: PyTorch's wait busily for each other on a machine that has other work. XLA keeps
# what it compiled, which is most of the time that JAX takes here, and compiles to code that runs
# slower, by its older emitters, into one module: in a third of the time.
env KERAS_BACKEND="$backend" FASTSCNN_REFERENCE="$PWD/build/backends" OMP_NUM_THREADS=1 \
    XLA_FLAGS="$quick" \
    JAX_COMPILATION_CACHE_DIR="$PWD/$venv/compiled" \
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
    JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
    "$venv/bin/python" -m pytest tests/backends/check_backend.py tests/backends/check_teacher.py \
    tests/backends/check_workers.py tests/data/test_objects.py

#!/usr/bin/env bash
# What the tests of JAX and PyTorch need: an environment each (.venv-jax, .venv-torch; built once, and
# again when its requirements change), and what TensorFlow computes (build/backends). Both before the
# tests of either: JAX' workers are started by torchrun, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
for backend in jax torch; do
    bash tests/environment.sh .venv-$backend tests/backends/requirements-$backend.txt
done
mkdir -p build/backends
.venv/bin/python tests/backends/make_reference.py build/backends

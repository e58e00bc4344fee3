# `make demo` and `make test` need nothing but a Python of 3.11 to 3.13 and this file: the first one
# that is on PATH or pyenv's and starts (pyenv's shims are there for versions that are switched off).
PYTHONS := python3.11 python3.12 python3.13 python3 python $(wildcard $(HOME)/.pyenv/versions/3.1[123].*/bin/python)
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach python,$(PYTHONS),$(shell $(python) -c "$(FITS)" 2>/dev/null && echo $(python))))
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo-output

CAMVID ?= CamVid
# Processes that share the test files; each wants a core and 3 GB of memory.
TEST_WORKERS ?= 2

# Whatever is set: tests start hundreds of processes, which would all compile what they import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo camvid camvid-short test test-all targets test-targets web cityscapes backends backend-jax backend-torch backends-setup fleet remote lowest fuzz audit lint format docs docs-serve clean

setup: $(VENV)/.done

$(VENV)/.done: requirements.txt pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 found: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# On all cores, which pip does not; some packages bring files that are no Python of this version.
	$(BIN)/python -W ignore -m compileall -qq -j 0 $(CURDIR)/$(VENV)/lib || true
	touch $@

demo: setup
	$(BIN)/fastscnn demo --output $(OUTPUT) --force

camvid: setup
	bash tflite/camvid/train.sh $(CAMVID) $(if $(filter file,$(origin OUTPUT)),camvid-output,$(OUTPUT))

# The main job on real images, short; needs FASTSCNN_CAMVID.
camvid-short: setup
	bash benchmarks/camvid_short.sh

# The order of files is that of tests/conftest.py: long ones first.
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -rs

# Some minutes; without what trains or converts at length, starts programs or runs notebooks.
test: setup cityscapes
	$(PYTEST) -m "not train and not convert and not process and not notebook"

test-all: setup cityscapes
	$(PYTEST)

# What the targets need, which some machines cannot get.
targets: setup
	bash tests/targets/setup.sh

# The real thing on every target that this machine can imitate; see tests/targets/conftest.py.
test-targets: targets
	FASTSCNN_TARGETS=$${FASTSCNN_TARGETS:-available} $(PYTEST) tests/targets

# The reference program of Cityscapes' scores, which needs an older numpy than the rest.
cityscapes: setup
	bash tests/environment.sh .venv-cityscapes tests/cityscapes/requirements.txt --no-deps

web: tflite/web/node_modules/.package-lock.json
	$(PYTHON) tflite/web/serve.py $(WEB)

# LiteRT.js, as package-lock.json pins it; needs Node.js' npm.
tflite/web/node_modules/.package-lock.json: tflite/web/package-lock.json
	npm ci --no-audit --no-fund --prefix tflite/web

# JAX and PyTorch beside each other where make has jobs for both: nothing else takes as long.
BACKENDS := backend-jax backend-torch
backends: $(BACKENDS)

$(BACKENDS): backend-%: backends-setup
	bash tests/backends/run.sh $*

backends-setup: setup
	bash tests/backends/setup.sh

fleet: setup
	bash tests/fleet/run.sh

# Addresses: a server of HTTP, moto's of S3, a long listing. On top of what the tests need.
remote: setup
	bash tests/remote/run.sh

# The lowest versions of all that is needed, as pyproject.toml allows them.
lowest: setup
	bash tests/lowest/run.sh

# Files of strangers by the thousand; some 300 of them are part of `make test-all`.
fuzz: setup
	$(BIN)/python benchmarks/fuzz.py --seed 0 --mutants 20000 --output fuzzed

# Versions with known faults, pinned or allowed.
audit: setup
	$(BIN)/python -m pytest tests/test_dependencies.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation, whole: a warning or a dead link is an error. Without needs of the package.
docs: .venv-docs/.done
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build

docs-serve: .venv-docs/.done
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve

.venv-docs/.done: docs/requirements.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	touch $@

clean:
	rm -rf $(VENV) .venv-docs .venv-lowest-runtime .venv-lowest-train site .venv-jax .venv-torch .venv-ray .venv-remote .venv-cityscapes .venv-latency .venv-robustness .targets tflite/web/node_modules build dist *.egg-info demo-output

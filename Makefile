# escsr: the commands behind README's quick start.
#
#   make photo   install the library into .venv and upscale examples/photo.jpg
#   make check   install all that development needs into .venv; run every check and test
#   make check-oldest  run the tests with the oldest versions that pyproject.toml allows
#   make docs    build the documentation into site/
#   make clean   remove .venv and everything that was built
#
# Another Python than python3:  make photo PYTHON=python3.12

SHELL  := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PHOTO  := upscaled/photo.png

# mkdocs-material's notice of a successor; there is nothing to do about it here.
export NO_MKDOCS_2_WARNING := 1

# Stamps: written as the last step of an installation, so a half-finished one does not count.
CORE := $(VENV)/.core-installed
DEV  := $(VENV)/.dev-installed
BUSY := $(VENV)/.installing

.PHONY: photo check check-oldest docs clean

photo: $(CORE)
	mkdir -p $(dir $(PHOTO))
	$(VENV)/bin/escsr upscale examples/photo.jpg -o $(PHOTO)
	@echo "The upscaled photo is $(abspath $(PHOTO)), made from $(abspath examples/photo.jpg)"

check: $(DEV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mkdocs build --strict --quiet
	$(PY) -m pytest -n logical --maxprocesses 8 --dist loadgroup --no-loadscope-reorder --durations=30
	@echo "Passed: ruff (lint and format), mypy, the documentation, and all tests (above; the wheel is one of them)."

# The lower bounds in pyproject.toml, taken at their word: an environment of its own with the lowest
# version of each package that is named there. Python must be the oldest, too, for which all of them
# were built: make check-oldest PYTHON=python3.11. Linters and types are the business of `make check`.
OLDEST := .venv-oldest
OLDEST_PY := $(OLDEST)/bin/python

check-oldest: $(OLDEST)/.installed
	$(OLDEST_PY) -m pytest -n logical --maxprocesses 8 --dist loadgroup --no-loadscope-reorder
	@echo "Passed: all tests, with $$($(OLDEST_PY) -c 'import torch, numpy; print("torch", torch.__version__, "numpy", numpy.__version__)')."

$(OLDEST)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST_PY) -m pip install uv
	$(OLDEST_PY) -m uv pip install --python $(OLDEST_PY) --resolution lowest-direct \
		--editable ".[dev,train,metrics,hub,video,export,ncnn]"
	$(OLDEST_PY) -m uv pip install --python $(OLDEST_PY) --no-deps --reinstall \
		"opencv-python-headless==$$($(OLDEST_PY) -c 'import importlib.metadata as m; print(m.version("opencv-python-headless"))')"
	@touch $@

docs: $(DEV)
	$(PY) -m mkdocs build --strict
	@echo "The documentation is $(abspath site/index.html)"

clean:
	rm -rf $(VENV) $(OLDEST) site dist build upscaled .mypy_cache .pytest_cache .ruff_cache
	find escsr tests tools recipes -name __pycache__ -type d -exec rm -rf {} +

# Checks the Python, then makes the environment. One whose installation was cut short (its BUSY
# mark is still there) is made anew: pip may take a half-unpacked package for a whole one.
define make-venv
@command -v "$(PYTHON)" >/dev/null || { \
	echo "error: there is no $(PYTHON) here; install Python 3.11 or newer, or name one: make photo PYTHON=/path/to/python3" >&2; \
	exit 1; }
@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else "error: $(PYTHON) is Python %d.%d, escsr needs 3.11 or newer; name one: make photo PYTHON=python3.12" % v)'
@echo "Installing into $(VENV): a few minutes and some gigabytes the first time (PyTorch is large)."
@if [ -e $(BUSY) ]; then "$(PYTHON)" -m venv --clear $(VENV); else "$(PYTHON)" -m venv $(VENV); fi
@touch $(BUSY)
endef

$(CORE): pyproject.toml
	$(make-venv)
	$(PY) -m pip install --editable .
	$(PY) -c "import escsr"
	@rm $(BUSY)
	@touch $(CORE)

# torch and torchvision come from one place in one go: a torchvision built for another torch
# fails at import. --upgrade moves the two together where an older torch is already here.
#
# albumentations needs opencv-python-headless, pyiqa (through facexlib) opencv-python. Both write
# the same folder cv2/, so which one works would hang on the order of installation, and the second
# needs libraries of a desktop. Writing the headless build last settles it.
# The packages of npm are ONNX Runtime for Node and for browsers; their own installation would download
# a build for CUDA, which no test needs.
$(DEV): pyproject.toml tests/export/node/package-lock.json
	$(make-venv)
	$(PY) -m pip install --upgrade torch torchvision --editable ".[dev,train,metrics,hub,video,app,export,ncnn,cluster,docs]"
	$(PY) -m pip install --no-deps --force-reinstall "opencv-python-headless==$$( \
		$(PY) -c 'import importlib.metadata as m; print(m.version("opencv-python-headless"))')"
	$(PY) -c "import cv2, numpy, torchvision; assert cv2.imencode('.png', numpy.zeros((2, 2), 'u1'))[0]"
	@mkdir -p $(VENV)/node && cp tests/export/node/*.json $(VENV)/node/
	@PATH="$(abspath $(VENV))/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --prefix $(VENV)/node || \
		echo "ONNX Runtime for JavaScript could not be installed: its tests are skipped"
	@rm $(BUSY)
	@touch $(CORE) $(DEV)

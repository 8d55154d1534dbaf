# One virtual environment with one pinned torch for everything; a second `make` does no set-up again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWEST := .venv-newest
LOWEST := .venv-lowest
EXAMPLES := .venv-examples
EXTRAS := dev,jax,efficientnet,tensorboard,trackio,mlflow
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_STAMP := $(VENV)/.setup-run
TEST_STAMP := $(VENV)/.setup-test
# Where it is set, each of hundreds of processes compiles every module again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup setup-locked lock hooks fit test test-newest test-lowest lint docs campaign mutants parity-run parity-outcome parity-examples bench clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

$(VENV)/bin/python $(NEWEST)/bin/python $(LOWEST)/bin/python $(EXAMPLES)/bin/python: %/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $*

$(RUN_STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -e . -c constraints.txt
	touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -e '.[$(EXTRAS),xla]' -c constraints.txt
	touch $@ $(RUN_STAMP)

setup: $(TEST_STAMP) ## set up everything, for running and for the tests

setup-locked: requirements.lock | $(VENV)/bin/python ## the same with exactly the versions of requirements.lock
	$(PIP) install -q --require-hashes -r requirements.lock
	$(PIP) install -q --no-deps -e .
	touch $(TEST_STAMP) $(RUN_STAMP)

lock: | $(VENV)/bin/python ## write requirements.lock for changed requirements; with ARGS=--upgrade of new versions
	$(PIP) install -q uv
	$(BIN)/uv pip compile pyproject.toml --extra $(EXTRAS),xla -c constraints.txt \
	  --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' -q -o requirements.lock $(ARGS)

hooks: $(TEST_STAMP) ## lint before every commit from here on
	$(BIN)/pre-commit install

fit: $(RUN_STAMP) ## train on the shipped glyphs, ten minutes on two cores; pictures in runs/glyphs/samples
	$(BIN)/python -m lightning_nsd fit --config glyphs.yaml $(ARGS)

lint: $(TEST_STAMP) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2

docs: $(TEST_STAMP) ## the site of docs/, notebooks/ and all docstrings, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

test: lint ## style, types and all tests
	$(BIN)/python -m pytest tests --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	$(BIN)/python -m pytest parity_tests --numprocesses 2 --dist loadfile $(ARGS)

test-newest: | $(NEWEST)/bin/python ## all tests but those of XLA with the newest versions there are, in an environment of their own
	$(NEWEST)/bin/python -m pip --disable-pip-version-check install -q --upgrade --upgrade-strategy eager -e '.[$(EXTRAS)]'
	$(NEWEST)/bin/python -m pytest tests --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	$(NEWEST)/bin/python -m pytest parity_tests --numprocesses 2 --dist loadfile $(ARGS)

$(LOWEST)/.setup: pyproject.toml scripts/lowest_versions.py | $(LOWEST)/bin/python
	$(LOWEST)/bin/python scripts/lowest_versions.py pyproject.toml > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip --disable-pip-version-check install -q -e '.[$(EXTRAS)]' -c $(LOWEST)/constraints.txt
	touch $@

test-lowest: $(LOWEST)/.setup ## a few tests with the lowest versions that pyproject.toml admits, in another
	$(LOWEST)/bin/python -m pytest tests -m smoke $(ARGS)
	$(LOWEST)/bin/python -m pytest parity_tests -m smoke $(ARGS)

campaign: $(TEST_STAMP) ## ten times as many hostile inputs as `make test`, and what is too slow for every run
	$(BIN)/python -m pytest tests/hostile --campaign 10 $(ARGS)
	NSD_FUZZ=600 $(BIN)/python -m pytest tests/data/test_fuzzed_files.py $(ARGS)
	$(BIN)/python -m pytest tests -m campaign --campaign 2 --ignore=tests/hostile $(ARGS)
	$(BIN)/python -m pytest parity_tests -m campaign --campaign 2 $(ARGS)

mutants: $(TEST_STAMP) ## change one thing at a time in the torch side; the parity tests must notice each
	$(BIN)/python -m parity_tests.mutants

parity-run: $(TEST_STAMP) ## train both frameworks for 500 steps, ten minutes on two cores; curves in runs/parity
	$(BIN)/python -m parity_tests.run --config glyphs.yaml --steps 500 --lr 5e-4 $(ARGS)

parity-outcome: $(TEST_STAMP) ## train both frameworks for 500 steps with three seeds a side, half an hour on two cores
	$(BIN)/python bench/outcome.py --config glyphs.yaml $(ARGS)

# transformers' Flax models ended with version 4, whose requirements are not those of the other tests
$(EXAMPLES)/.setup: pyproject.toml constraints.txt | $(EXAMPLES)/bin/python
	$(EXAMPLES)/bin/python -m pip --disable-pip-version-check install -e '.[examples]' -c constraints.txt
	touch $@

parity-examples: $(EXAMPLES)/.setup ## hold public pairs of networks together, in an environment of their own
	$(EXAMPLES)/bin/python -m pytest parity_tests/examples $(ARGS)
	$(EXAMPLES)/bin/python -m parity_tests.examples

bench: $(TEST_STAMP) ## the figures of docs/: accuracy of what `make fit` drew, seconds per training step, cost of distances
	$(BIN)/python bench/few_shot_accuracy.py --ckpt_path runs/glyphs/last.ckpt
	$(BIN)/python bench/train_step.py
	$(BIN)/python bench/fid.py

clean: ## remove the virtual environments
	rm -rf $(VENV) $(NEWEST) $(LOWEST) $(EXAMPLES)

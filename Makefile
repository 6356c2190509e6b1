# Two commands do everything on a fresh Debian 12: `make run` and `make test`. Both set up .venv first.
#
#   make run         the app; without a display, the command-line demo
#   make test        the tests
#   make demo        the command-line demo on the bundled sounds
#   make lint types contracts
#   make bench       speed and memory, printed
#   make paper-tables  docs/paper-tables.md: the paper's comparisons on our sounds (hours; needs data/sounds)
#                    and, for the table “beyond” alone, data/teacher and the distilled CNN (docs/training.md)
#   make clean       remove what the set-up and the tests made
#
# Options: PYTHON=python3.12 (3.11 or newer), TORCH_INDEX=URL (a package index to take PyTorch from; see README.md),
#          ARGS=... (passed to pytest, the app or the benchmark).

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help run test demo lint types contracts bench paper-tables clean setup

help:
	@sed -n 's/^#  *make /make /p' Makefile

run: setup
	@if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
		echo "There is no display here, so this is the command-line demo; with a display, make run opens the app."; \
		$(BIN)/python -m tests.demo; \
	else \
		$(BIN)/python -m desktop $(ARGS); \
	fi

test: setup
	$(BIN)/python -m pytest $(ARGS)

demo: setup
	$(BIN)/python -m tests.demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy engine desktop tests

contracts: setup
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

paper-tables: setup
	$(BIN)/python -m engine.training.research.paper_tables $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

setup: $(INSTALLED)
	@.ci/setup.sh libraries

$(INSTALLED): pyproject.toml constraints.txt .ci/setup.sh
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" .ci/setup.sh packages
	@touch $@

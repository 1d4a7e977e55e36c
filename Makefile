# The verbs of the house; every one of them sets the environment up first where it is missing.
BIN := .venv/bin
STAMP := .venv/wbvla-setup
SOURCES := src tests benchmarks scripts

.PHONY: help setup demo test fmt lint type unit bench docs build clean
.NOTPARALLEL:

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

setup: $(STAMP)  ## .venv with exact pins and an OpenGL that draws off-screen

$(STAMP): pyproject.toml constraints.txt scripts/setup.py
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup.py
	@touch $@

demo: $(STAMP)  ## the whole loop in miniature, with a report at the end
	$(BIN)/wbvla demo

test: lint type unit  ## everything that must be green

unit: $(STAMP)  ## the test suite on two processes
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist worksteal --durations 10 -m "not slow and not gpu"

fmt: $(STAMP)  ## format and sort imports
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: $(STAMP)  ## ruff and the layers of the house
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports

type: $(STAMP)  ## pyright
	$(BIN)/pyright

bench: $(STAMP)  ## the figures of README; each file says where it writes them
	@failed=; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo "targets missed, or not run:$$failed"; exit 1; }

docs: $(STAMP)  ## check that what the documents name exists
	$(BIN)/python -m pytest -q tests/house/test_house_docs.py

build: $(STAMP)  ## wheel and sdist, smoke-tested in an environment of their own
	rm -rf dist && $(BIN)/python -m build -q
	$(BIN)/python scripts/smoke_wheel.py dist

clean:  ## what can be made again, except .venv and runs/
	rm -rf dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

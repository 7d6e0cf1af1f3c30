# Every target does the set-up that it needs; `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help setup demo replay test test-as-user torture fuzz check fmt bench bench-setup clean

PY := .venv/bin/python

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## system packages, a .venv and the Python packages
	@scripts/setup.sh

demo: setup ## build two real things in a sealed box, twice; the second time nothing runs
	@$(PY) scripts/demo.py

replay: setup ## build all of catalogs/ again, and compare with the published hashes; ARGS="MODULE..."
	@$(PY) scripts/replay.py $(ARGS)

test: setup ## the whole suite; as root, the part marked `both` again as an ordinary user
	@scripts/test.sh $(ARGS)

test-as-user: setup ## as root: the part of the suite marked `both`, as an ordinary user
	@scripts/test-as-user.sh $(ARGS)

torture: setup ## kills, signals, failing calls and power cuts at every single place; the counts are printed at the end
	@WARPFORGE_TEST_EVERY=1 scripts/test.sh tests/torture tests/e2e/test_kill.py tests/e2e/test_damaged_index.py \
		tests/e2e/test_interrupted.py tests/e2e/test_max_unpacked.py tests/store tests/catalog

fuzz: setup ## give the readers of archives and documents anything; ARGS="SECONDS [TARGET...]"
	@$(PY) -c 'import atheris' 2>/dev/null || $(PY) -m pip install -q -e '.[fuzz]' || echo "fuzz: without atheris" >&2
	@nice $(PY) scripts/fuzz.py $(ARGS)

check: setup ## ruff, mypy --strict, the floors
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_floors.py

fmt: setup ## write every Python file the one way
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench-setup: setup ## the peers that benches compare with, as far as they can be had
	@scripts/bench-setup.sh

bench: bench-setup ## measure against peers, as ratios
	@$(PY) scripts/bench.py $(ARGS)

clean: ## remove everything that the other targets made
	rm -rf .venv build dist .mypy_cache .ruff_cache .hypothesis *.egg-info
	find warpforge tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

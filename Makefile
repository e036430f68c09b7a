# Everything a developer or a newcomer runs. `make help` lists the targets.
# Needs python3 (3.11 or later), make, git and the package registries; brings uv itself.

UV_VERSION := 0.13.9
TOOLS := .tools/uv-$(UV_VERSION)
UV := $(TOOLS)/bin/uv
BIN := .venv/bin
QUICKSTART := examples/quickstart
PROGRAMS := etcd kube-apiserver kube-controller-manager kubectl versitygw kstatus prometheus promtool amtool \
  actionlint helm crane
PROCESSES ?= 0
NOT_NEEDED := examples/quickstart-not-needed
BASE := $(QUICKSTART)/build/base

# Which cases of the fault suite are the sample: the same in CI every time; any other number is another.
export FAULT_SEED ?= 6

export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON ?= $(shell python3 -c 'import sys; print(sys.executable)')
export PYTHONUTF8 := 1
export CASE COUNT FAULT_SEED FAULTS FAULTS_OUT LANES SOAK_KILLS SOAK_OUT SOAK_SEED SOAK_STORES
# The quickstart reads no hub; a library that tries would only wait for a network.
export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-quickstart fmt lint types test test-unit test-integration test-faults test-faults-all e2e e2e-images e2e-check images package sbom \
  programs generate verify quickstart quickstart-not-needed quickstart-base dashboard-pictures demo-retrain soak-resume bench-progress bench-verdict bench-aa bench-memory bench-retrain \
  bench-trainer bench-answers bench-basemodels bench-gpu bench-operator bench-prepare bench-startup twin clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@echo "installing uv $(UV_VERSION) into $(TOOLS)"
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "python3 is older than 3.11; install Python 3.11 or later" >&2; exit 2; }
	@python3 -m venv $(TOOLS) && $(TOOLS)/bin/python -m pip install --quiet \
	  --disable-pip-version-check uv==$(UV_VERSION) \
	  || { rm -rf $(TOOLS); echo "could not make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }

setup: $(UV) ## Install everything that development and tests need, as locked
	@$(UV) sync --frozen --all-extras --all-groups --no-group peer --compile-bytecode --quiet

setup-quickstart: $(UV)
	@echo "installing the locked dependencies (about 6 GB the first time, most of it torch)"
	@$(UV) sync --frozen --extra train --group quickstart --compile-bytecode --inexact

fmt: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: setup ## Check style and the laws between the layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: setup ## Check the types
	@$(BIN)/mypy

test: lint types verify test-unit test-integration test-faults ## Everything that needs no node

# The long ones first: at the end one process would wait for the other.
test-unit: setup ## The tests that need nothing but Python
	@$(BIN)/pytest -n 2 --dist loadfile tests/endtoend tests/unit

programs: setup ## Build the real programs that the tests run, once (about 10 minutes, then kept)
	@PYTHONPATH=tests $(BIN)/python -m cluster.assets $(PROGRAMS)
	@PYTHONPATH=tests $(BIN)/python -m cluster.monitoring

# PROCESSES=2 is twice as fast, each with a control plane of its own; beside other load some tests time out.
test-integration: setup programs ## The tests on a real API server, object store and Prometheus
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile -m "not alone" tests/integration
	@$(BIN)/pytest -n 0 -m alone tests/integration

# CASE=<id or kind> runs that one; FAULT_SEED=<n> the sample of that seed; COUNT=<n> each n times.
test-faults: setup programs ## The operator under fire: a sample of the fault suite (minutes)
	@PYTHONPATH=.:tests $(BIN)/python -m faults

test-faults-all: setup programs ## The operator under fire: every fault at every write, COUNT times (hours)
	@FAULTS=all FAULTS_OUT=build/faults $(MAKE) --no-print-directory test-faults

e2e: setup e2e-images quickstart-base ## The tests on a real node, in real pods (root, Debian)
	@PYTHONPATH=tests $(BIN)/python -m cluster.assets
	@PYTHONPATH=tests $(BIN)/python -m cluster.node.enclosure \
	  $(BIN)/pytest -p no:cacheprovider tests/e2e $(E2E_ARGS)

# A base image without a registry; isolation that needs no rights beyond root in a sandbox.
e2e-images: e2e-check
	@images/base.sh localhost/tunekeeper-base
	@CONTAINER_TOOL=buildah BUILDAH_ISOLATION=chroot images/build.sh --base-image localhost/tunekeeper-base \
	  --archive build/images

e2e-check: setup
	@tests/e2e/install-packages.sh
	@PYTHONPATH=tests $(BIN)/python -m cluster.node.check

# The environment is only for who has no helm.
package: $(UV) ## Build the wheel and the chart's archive, at the tag's version, into dist/
	@command -v helm > /dev/null || $(MAKE) --no-print-directory setup
	@HELM="$$(command -v helm || PYTHONPATH=tests $(BIN)/python -m cluster.assets helm)" UV="$(UV)" charts/package.sh

images: ## Build both images with docker, podman or buildah
	@images/build.sh

# SOURCE_DATE_EPOCH: the time in them; that of the commit, so that a commit has one list.
sbom: $(UV) ## List the Python packages of the wheel and both images (CycloneDX), into dist/
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} python3 images/sbom.py $(UV) dist

generate: setup ## Write the CRDs, the chart's values and the pages of docs that are made from the code
	@$(BIN)/python -m controller.api.generate

verify: setup ## Fail when generated files are not what the types say
	@$(BIN)/python -m controller.api.generate --check

quickstart-base: setup-quickstart
	@$(BIN)/python $(QUICKSTART)/base_model.py $(BASE)

quickstart: quickstart-base ## Fine-tune a real small model on real messages, on this machine
	@$(BIN)/tunekeeper run $(QUICKSTART)/job.yaml

quickstart-not-needed: quickstart-base ## The same on data that needs no tuning
	@$(BIN)/tunekeeper run $(NOT_NEEDED)/job.yaml

dashboard-pictures: setup programs ## Draw both dashboards from a real Prometheus (needs Chromium, minutes)
	@rm -f build/dashboards.json
	@PYTHONPATH=.:tests $(BIN)/python docs/draw_dashboards.py build/dashboards.json docs/images

demo-retrain: setup ## A base model moves: look, commit, retrain, compare, roll back (3 minutes)
	@PYTHONPATH=tests $(BIN)/python examples/retrain/story.py

twin: setup
	@PYTHONPATH=tests $(BIN)/python -m cluster.assets twin

# SOAK_SEED=<n> repeats a sitting; SOAK_KILLS=<n> at least so many; SOAK_STORES=file leaves s3 out.
soak-resume: setup programs ## Kill trainings 50 times, on disk and on S3: each ends as if nobody had (2 minutes)
	@PYTHONPATH=.:tests $(BIN)/python -m soak

bench-progress: setup programs ## Does a pod that hangs delay the others? On a real API server
	@PYTHONPATH=.:tests $(BIN)/python bench/progress.py

bench-verdict: setup ## Simulate the verdict: error, coverage and power per cell
	@PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python -m bench.verdict $(BENCH_ARGS)

bench-aa: setup ## 60 adapters of equal skill and 20 with a planted effect, trained and judged for real
	@PYTHONPATH=.:tests OMP_NUM_THREADS=1 $(BIN)/python -m bench.aa $(BENCH_ARGS)

bench-memory: quickstart-base ## The memory that training is estimated to need against what it takes
	@PYTHONPATH=.:tests $(BIN)/python bench/memory.py $(BASE)

bench-retrain: setup ## Plant better, equal and worse adapters; play chains of retrains
	@PYTHONPATH=. $(BIN)/python bench/retrain.py

# TRL and what it needs lie in an environment of their own. BENCH_ARGS: --steps, --rounds, --threads, --seed, --base, --only.
bench-trainer: setup quickstart-base ## Our trainer beside TRL's: speed, memory, losses (half an hour)
	@UV_PROJECT_ENVIRONMENT=build/peer $(UV) sync --frozen --extra train --no-default-groups --group peer --quiet
	@PYTHONPATH=. $(BIN)/python -m bench.trainer --peer build/peer/bin/python --base $(BASE) $(BENCH_ARGS)

# Of several runs the newest.
bench-answers: quickstart ## The arms' tokens per second beside transformers, one prompt at a time
	@PYTHONPATH=. $(BIN)/python -m bench.trainer.answers --run "$$(ls -dt $(QUICKSTART)/build/output/runs/* | head -n 1)" --base $(BASE) $(BENCH_ARGS)

bench-basemodels: setup programs ## What watching 1,000 base models costs. On a real API server
	@PYTHONPATH=.:tests $(BIN)/python bench/basemodels.py

bench-gpu: setup ## Tokens/s, MFU and memory of an 8B-class step on this GPU (random weights)
	@PYTHONPATH=. $(BIN)/python bench/gpu.py $(BENCH_ARGS)

bench-operator: setup programs twin ## 1,000 starts, 10,000 objects, ends, handovers, an outage (15 minutes)
	@PYTHONPATH=.:tests $(BIN)/python -m bench.scale $(BENCH_ARGS)

# BENCH_ARGS="--rows 100000 --source s3": fewer rows, from a real S3 server on this machine.
bench-prepare: setup programs quickstart-base ## Prepare 1,000,000 rows: time, memory, near copies found
	@PYTHONPATH=.:tests $(BIN)/python -m bench.size $(BENCH_ARGS)

bench-startup: setup ## How soon the controller lists and prepare asks its store, and their memory
	@PYTHONPATH=.:tests $(BIN)/python -m bench.startup $(BENCH_ARGS)

clean: ## Remove what the quickstarts made
	rm -rf $(QUICKSTART)/build $(NOT_NEEDED)/build examples/retrain/build

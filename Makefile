# Two commands do everything: `make run` and `make test`.
SHELL := /bin/bash
SWIFT ?= swift
PYTHON ?= python3
# The official SDKs are clients in the end-to-end tests.
SDKS ?= openai==3.57.0 anthropic==2.14.0 google-genai==3.6.1 openrouter==1.3.84
# Libraries that people reach models by.
LIBRARIES ?= langchain-openai==1.7.4 langchain-anthropic==1.7.10
# The browser of the console's tests is Debian's; this drives it and looks for what people with disabilities would stumble over.
BROWSER ?= playwright==1.65.2 axe-playwright-python==0.1.8
# What looks at the OpenAPI document there.
VALIDATOR ?= openapi-spec-validator==0.9.0
# What Scripts/import-models.py reads the provider files with.
YAML ?= pyyaml==6.0.4
# A real local server behind the gateway: llama.cpp's, and what its tiny model is made with. Where there is no wheel, its test is left out.
LOCAL_SERVER ?= xllamacpp==2026.10.11549 gguf==0.19.0 numpy
# The coding agents as programs (320 MB), for `make test-agents`.
AGENT_PROGRAMS ?= claude-agent-sdk==0.2.189 openai-codex-cli-bin==0.163.0
RELEASE := .build-release
# Tests at a time: with all at once (the default), a busy machine gives each too little to keep its deadlines.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= 4

# Tests that have a long form, taken with APIROUTER_LONG=1.
LONG_TESTS ?= CrashTests|StrictBoundTests|LeaseSimulationTests|BrowserTests

# Tests that compare documents with what the code says, and write them with UPDATE_GOLDEN=1.
GENERATED_DOCS := ReferenceTests|FailureTableTests|DialectTableTests|MetricsReferenceTests|ConfigReferenceTests|ClientTableTests

.PHONY: help run build test test-long test-agents deps test-deps check docs pictures catalogue format lint bench instructions clean

help: ## what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps: ## install missing system packages (Debian, Ubuntu)
	@Scripts/install-packages.sh

build: deps ## release build
	$(SWIFT) build -c release --scratch-path $(RELEASE) --product apirouter

run: build ## build and serve on http://127.0.0.1:3000 with config/ and providers/
	@mkdir -p data
	$(RELEASE)/release/apirouter serve --config config/gateway.yaml

check: build ## validate the configuration
	$(RELEASE)/release/apirouter check --config config/gateway.yaml

test-deps:
	@Scripts/install-packages.sh --tests

# The agents are tested where they are installed, or with AGENTS=1.
test: test-deps .venv/.installed $(if $(AGENTS),.venv/.agents) lint ## everything: style, unit, end to end, tidy, instruction counts
	.venv/bin/python -m unittest discover --start-directory Tests/Scripts
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	$(SWIFT) test --skip-build --disable-xctest --skip EndToEndTests
	$(SWIFT) test --skip-build --disable-xctest --filter EndToEndTests
	$(PYTHON) Benchmarks/instructions.py

test-long: test-deps ## the long forms of tests that `make test` runs shortly (fifty kills, 100,000 bodies, every page in every form)
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	APIROUTER_LONG=1 $(SWIFT) test --skip-build --disable-xctest --filter '$(LONG_TESTS)'

.venv/.installed: Makefile
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check $(SDKS) $(LIBRARIES) $(BROWSER) $(VALIDATOR) $(YAML)
	@if .venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: $(LOCAL_SERVER); \
	then touch .venv/.local-server; else rm -f .venv/.local-server; fi
	@touch $@

test-agents: test-deps .venv/.installed .venv/.agents ## Claude Code and Codex themselves against the gateway (loads 320 MB once)
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	$(SWIFT) test --skip-build --disable-xctest --filter AgentTests

# Without what they depend on: only the programs inside are run.
.venv/.agents: .venv/.installed
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: $(AGENT_PROGRAMS)
	@touch $@

docs: ## the documents that are made from declarations in the code, written anew (then read the diff)
	$(SWIFT) build --build-tests
	UPDATE_GOLDEN=1 $(SWIFT) test --skip-build --disable-xctest --filter '$(GENERATED_DOCS)'

pictures: test-deps .venv/.installed ## the README's pictures of the console, taken anew
	$(SWIFT) build --build-tests
	PICTURES=docs/pictures $(SWIFT) test --skip-build --disable-xctest --filter 'BrowserTests.*pictures'

catalogue: .venv/.installed ## model lists and prices of the shipped vendors from the newest public lists (then read docs/catalogue.md)
	.venv/bin/python Scripts/import-models.py $(ARGS)

bench: deps ## the gateway beside its peers: make bench ARGS="--quick", ARGS=--help tells what else
	$(PYTHON) Benchmarks/bench.py $(ARGS)

instructions: test-deps ## instructions of the hot path's parts beside their baseline (a busy machine does not matter)
	$(SWIFT) build --product microbench
	$(PYTHON) Benchmarks/instructions.py

format: ## rewrite with the project's style
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Package.swift

lint: ## style, without changing anything
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift

clean:
	rm -rf .build $(RELEASE) .venv .bench-venv

# `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup test lint lock demo bench bench-dedup bench-copies bench-large gpu clean

export PATH := $(CURDIR)/.venv/bin:$(PATH)
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --upgrade

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: .venv/.complete ## Make .venv complete: Python packages, Nextflow, Java (PYTHON=... picks the Python)

.venv/.complete: $(wildcard requirements*.txt) pyproject.toml $(wildcard scripts/*)
	PYTHON="$(PYTHON)" scripts/setup.sh
	@touch $@

test: setup ## Run all tests (ARGS="-k name" picks some)
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# benchmarks/ apart: a file there may have the name of one in bin/.
lint: setup ## Check style, layers and types
	ruff check .
	ruff format --check .
	lint-imports
	mypy
	mypy benchmarks

lock: setup ## Pin the newest versions of requirements*.in, and Nextflow's jars
	$(COMPILE) requirements-setup.in --output-file requirements-setup.txt
	$(COMPILE) requirements.in --output-file requirements.txt
	$(COMPILE) requirements-dev.in --output-file requirements-dev.txt
	$(COMPILE) --no-deps requirements-models.in --output-file requirements-models.txt
	$(COMPILE) --no-deps requirements-readers.in --output-file requirements-readers.txt
	for part in nextflow nf-lang; do scripts/fetch_jars.sh $$part .venv/share/$$part && \
		(cd .venv/share/$$part && export LC_ALL=C && sha256sum -- *.jar) > scripts/$$part.sha256 || exit; done

demo: setup ## Curate a small set of photographs made on the spot, into demo/
	python examples/make_demo.py --out demo/shards --seed 0
	cd demo && nextflow run ../main.nf --input shards --outdir results --aesthetic_threshold 0.3 \
		--dedup true --images_per_tar 50
	python examples/check_demo.py demo/results demo/shards

bench: setup ## Measure each part against its bound
	python benchmarks/loader.py
	python benchmarks/models.py
	python examples/make_demo.py --out demo/shards --seed 0
	PYTHONPATH=tests/support python benchmarks/text.py demo/shards/a
	python benchmarks/stages.py
	python benchmarks/stores.py
	python benchmarks/runs.py
	python benchmarks/dedup.py sizes --samples 1000 --samples 10000 --samples 100000 --threshold 0.95

bench-dedup: setup ## Measure the search for duplicates
	python benchmarks/dedup.py centres
	python benchmarks/dedup.py ways
	python benchmarks/dedup.py speed --whole
	python benchmarks/dedup.py sizes
	python benchmarks/dedup.py sizes --samples 50000 --dim 1280 --threshold 0.90
	python benchmarks/dedup.py growth
	python benchmarks/dedup.py clusters

bench-copies: setup ## Measure which copies each duplicate descriptor finds, what it takes for copies, and what it costs
	PYTHONPATH=tests/support python benchmarks/copies.py
	PYTHONPATH=tests/support python benchmarks/descriptor_rate.py

bench-large: setup ## Measure DECIDE, REPORT, refilter and inspect on the tables of a million images
	python benchmarks/large.py

gpu: setup ## On a machine with a GPU: the tests that need one, and its speed
	python -m pytest -m gpu
	python benchmarks/gpu.py --model ViT-L-14-quickgelu --images 40000
	python benchmarks/gpu.py --model ViT-B-32-quickgelu --images 40000

clean: ## Remove the demo and the caches of the tools; .venv and your results stay
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# `make serve` and `make test` need Python 3.11+ and make, nothing else. Every other target is for development.
PYTHON ?= python3
PORT ?= 8000
MODEL ?= models/face68

.DELETE_ON_ERROR:
.PHONY: serve test coverage install check format bench bench-peers soak deploy-check release-check hooks clean

serve: .venv/installed
	.venv/bin/focalpoint serve $(MODEL) --port $(PORT)

# These measure times, and have the machine to themselves. All others share it, two at once with a thread each, in the order
# of their folders, which has the longest first.
TIMED_TESTS = tests/end_to_end/test_speed.py tests/soak/test_overload.py tests/soak/test_long_runs.py \
	$(addprefix tests/deploy/test_, benchmark.py load_generator.py load_levels.py peers.py server_counters.py) \
	$(addprefix tests/service/, client tuning workers) \
	$(addprefix tests/service/test_, batcher_failures.py connections.py dynamic_batching.py engine_failures.py \
		http_gate.py server.py)
test: check
	OMP_NUM_THREADS=1 .venv-dev/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		$(TIMED_TESTS:%=--ignore=%)
	.venv-dev/bin/pytest $(TIMED_TESTS)

coverage: .venv-dev/installed
	.venv-dev/bin/pytest --cov --cov-report=term

# What `make test` installs, training included.
install: .venv-dev/installed

check: .venv-dev/installed
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: .venv-dev/installed
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

# A server of its own beside what this machine could do at most; or one that runs: make bench URL=http://127.0.0.1:8000
BENCH_FLAGS ?= --concurrency 1,4,16 --half-load
bench: .venv/installed
	.venv/bin/python deploy/benchmark.py $(if $(URL),--url $(URL),--start $(MODEL) --ceilings $(MODEL)) $(BENCH_FLAGS)

# The same bundle behind other servers, each in an environment of its own below runs/peers, and this one beside them: ten
# minutes, and the installation the first time. SWEEP=1 first tries every configuration of each, ten minutes more.
bench-peers: .venv/installed
	.venv/bin/python deploy/bench_peers.py $(if $(SWEEP),--sweep)

# The long versions of tests/soak: about an hour.
soak: .venv-dev/installed
	FOCALPOINT_SOAK=1 .venv-dev/bin/pytest -s --timeout=3600 tests/soak

# Builds the images, runs them, compose and a Kubernetes overlay, and checks every file of deploy/: docs/deployment.md.
# What a missing program keeps from being checked is skipped, and named at the end.
deploy-check: .venv-dev/deploy-installed
	FOCALPOINT_DEPLOY=1 .venv-dev/bin/pytest -s --timeout=3600 tests/deploy

# What the last commit would release: built, installed where nothing else is, asked.
release-check:
	$(PYTHON) deploy/release_check.py

# make check on what is committed, before it is.
hooks: .venv-dev/deploy-installed
	.venv-dev/bin/pre-commit install

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu]'
	touch $@

.venv-dev/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,train,dev]'
	touch $@

.venv-dev/deploy-installed: .venv-dev/installed
	.venv-dev/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,train,dev,deploy]'
	touch $@

clean:
	rm -rf .venv .venv-dev .mypy_cache .ruff_cache .pytest_cache .coverage

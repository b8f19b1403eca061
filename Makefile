# The two commands are `make dev` and `make test`; both first see to the system packages they need.
.DEFAULT_GOAL := help
.PHONY: help dev test setup

# rustup's folder last: a shell that has not read its profile yet still finds cargo.
export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo
ARGS ?=
BINARY = $(or $(CARGO_TARGET_DIR),target)/debug/holdpoint

help: ## print this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST)
	@echo '  ARGS="..." is passed on: make dev ARGS="--help", make test ARGS="-- --nocapture"'

# No --package anywhere: dependencies are built with the features that the whole workspace asks for,
# so both commands share one build of RocksDB.
dev: ## start one node for development in ./.holdpoint and print the next command
	@sh scripts/setup.sh build
	@test -x $(BINARY) || echo 'building Holdpoint: the first time takes about 11 minutes on 2 free cores (most of it RocksDB), later ones seconds' >&2
	@$(CARGO) run --locked --bin holdpoint -- dev $(ARGS)

# The tests start the binary, so it is built with them and not left over from before.
test: ## run every test, the house rules and the documentation's examples included
	@sh scripts/setup.sh test
	@test -x $(BINARY) || echo 'building Holdpoint and its tests: the first time takes about 20 minutes on 2 free cores' >&2
	@$(CARGO) build --locked --workspace --bins --tests
	@$(CARGO) test --locked --workspace --no-fail-fast $(ARGS)

setup: ## install the system packages of both (Debian, Ubuntu), or name what is missing
	@sh scripts/setup.sh test

# Every target does its own set-up, without root; `make doctor` shows what that takes.
.DEFAULT_GOAL := help
.PHONY: help doctor console lint check test fuzz demo cluster torture mutants bench soak apps clean

CLIPPY := cargo clippy --workspace --all-targets --locked -- -D warnings

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

doctor: ## what is installed, what is missing, what to do about it
	@scripts/doctor

# Built again when something of it is newer: the broker would be, too.
PAGE := console/dist/page/index.html
console: $(PAGE) ## the page for people, which the next build of the broker has in it (needs Node.js)
$(PAGE): docs/openapi.json $(shell find console -name node_modules -prune -o -name dist -prune -o -type f -print)
	scripts/console

lint: ## formatting, clippy, licences and banned crates, Go formatting, shell scripts
	cargo fmt --all --check
	$(CLIPPY)
	"$$(scripts/tool cargo-deny)" --locked --log-level error check bans licenses sources
	scripts/lint-others

check: ## while you work: formatting, clippy, unit tests and SQLite
	cargo fmt --all --check
	$(CLIPPY)
	cargo build --locked -p brokkr
	cargo test --workspace --locked

test: $(PAGE) ## everything: also PostgreSQL, a real Kubernetes API and a real browser
	scripts/previous
	scripts/faulty
	cargo build --workspace --locked
	scripts/testbed cargo test --workspace --locked --no-fail-fast -- --include-ignored
	scripts/console-tests
	scripts/fuzz

fuzz: ## asks a broker all that its OpenAPI document says, and much that it does not
	cargo build --locked -p brokkr
	scripts/fuzz

demo: ## broker, agent and a cluster with a small application; Ctrl-C ends it
	@scripts/demo

cluster: ## a real cluster to play with; Ctrl-C ends it
	@scripts/cluster

torture: ## the tests of kills and other trouble ten times as long, 10,000 losses of power, every refused step of a disk, every fail point, and 100,000 simulated histories
	scripts/faulty
	cargo build --release --locked -p brokkr
	BROKKR_SEEDS=100000 cargo test -p brokkr-agent --release --locked --test simulation -- --show-output
	BROKKR_TORTURE=1 scripts/testbed cargo test -p brokkr-e2e --release --locked -- --include-ignored --show-output kill fail_points failing_disk power_loss trouble

mutants: ## builds with defects on demand, and the tests that must find them
	scripts/mutants

bench: console ## the numbers of the design, measured
	cargo build --release --locked -p brokkr
	scripts/testbed cargo run --release --locked -p brokkr-e2e --bin bench

soak: ## a fleet for half an hour (MINUTES=N for longer): does anything grow, or slow down?
	cargo build --release --locked -p brokkr
	scripts/testbed --no-cluster --no-postgres cargo run --release --locked -p brokkr-e2e --bin bench -- soak --minutes $(or $(MINUTES),30)

apps: ## MANIFESTS=DIR: every file of DIR through the product onto a cluster
	@[ -n "$(MANIFESTS)" ] || { echo 'make apps: say which folder: make apps MANIFESTS=DIR' >&2; exit 2; }
	cargo build --locked -p brokkr
	scripts/testbed cargo run --locked -p brokkr-e2e --bin apps -- "$(MANIFESTS)"

clean: ## all builds and brought tools
	cargo clean
	rm -rf target console/dist/page console/node_modules

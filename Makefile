# Each target does its own set-up: missing system packages are installed by apt, with a line that says so.

.PHONY: echo chat gateway test check clients bench bench-quick contenders criterion fuzz

# The echo demo on :9001. Flags: make echo ARGS="--workers 2"
echo:
	@.ci/setup build
	cargo run --release --example echo -- $(ARGS)

# The chat on :8080, with its page. Flags: make chat ARGS="--workers 2"
chat:
	@.ci/setup build
	cargo run --release --example chat -- $(ARGS)

# The trade gateway on :9001, with its page. Fill it: cargo run --release --example gateway_client -- --send 10000000 --batch 64
gateway:
	@.ci/setup build
	cargo run --release --example gateway -- $(ARGS)

# Everything: tests, the rings under loom, lints, real clients.
test:
	@.ci/setup build
	cargo test --workspace
	cargo test --features loom --test loom
	$(MAKE) check
	$(MAKE) clients

# What needs no running: formatting, lints, every feature and target.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo check --workspace --all-features --all-targets
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The echo demo against real clients: python, node, a browser, Autobahn. And the chat in two windows, and the gateway.
clients:
	@.ci/setup build
	@.ci/setup clients
	cargo build --release --example echo --example chat --example gateway
	tests/clients/run

# corewire beside uWebSockets and others in one run: table, plots and raw results in benches/results; then
# trades, from their codec to the network. Some 30 minutes.
# Leave the machine alone meanwhile. One cell: make bench-quick ARGS="--only '50 × 16 KiB'"; more: target/release/compare --help
bench: contenders
	target/release/compare --out benches/results $(ARGS)
	cargo bench -p corewire-bench --bench sbe --bench gateway

# The same in 3 minutes, beside uWebSockets only, in target/compare.
bench-quick: contenders
	target/release/compare --servers corewire,uWebSockets --rounds 3 --seconds 0.4 $(ARGS)

# The servers, the load generator and the runner. A rival that does not build is left out of the table, with the reason.
contenders:
	@.ci/setup build
	@.ci/setup bench
	cargo build --release --example echo --example rooms
	cargo build --release -p corewire-bench --bins
	-cargo build --release -p corewire-rivals --all-features
	-benches/rivals/uwebsockets/build target/rivals/uwebsockets

# Criterion's figures of the parts that we watch.
criterion:
	@.ci/setup build
	cargo bench --workspace

# Each fuzz target for a minute; needs cargo-fuzz (cargo install cargo-fuzz). The flags that it passes are of nightly compilers; a stable one
# takes them if told to.
fuzz:
	@.ci/setup build
	for target in frame handshake machine sbe typed; do RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=60 || exit 1; done

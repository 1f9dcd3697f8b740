# Everything a fresh Debian 12 needs comes from here: apt packages, a virtual environment from
# requirements.lock, crates from Cargo.lock. Each step is skipped when nothing has changed.

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := .make
APT := python3-venv gcc libc6-dev iproute2 iputils-ping nftables tcpdump ffmpeg iperf3
TEST_APT := iperf dnsmasq-base udhcpc strace
ROUTERS := smcroute igmpproxy pimd
FUZZ_APT := g++
BENCH_APT := tinc n2n wireguard-go wireguard-tools
LOAD := bench/load/Cargo.toml
FUZZ := crates/fuzz/guided
FUZZ_PARSERS := $(notdir $(wildcard crates/fuzz/corpus/*))
RUST := $(wildcard crates/*/src/*.rs crates/*/src/*/*.rs crates/*/Cargo.toml) Cargo.toml Cargo.lock

HOST = $(shell rustc -vV | sed -n 's/^host: //p')

define install-missing
missing=$$(for p in $(1); do dpkg -s $$p 2>/dev/null | grep -q '^Status: install ok installed' || echo $$p; done); \
if [ -n "$$missing" ]; then echo "installing: $$missing"; \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

.PHONY: all install demo test soak fuzz check sanitize bench simulate lock clean
all: install

$(STAMPS)/apt: Makefile | $(STAMPS)/rust
	@mkdir -p $(STAMPS)
	@$(call install-missing,$(APT))
	@touch $@

# Programs that are tested with. Multicast routers are only unpacked: installed, they would run as services.
$(STAMPS)/test-apt: Makefile | $(STAMPS)/apt
	@$(call install-missing,$(TEST_APT))
	@mkdir -p $(STAMPS)/routers && cd $(STAMPS)/routers && get() { apt-get download -qq -o APT::Sandbox::User=root $(ROUTERS); } && \
	{ get 2>/dev/null || { apt-get update -qq && get; }; } && for p in *.deb; do dpkg -x $$p .; done && rm *.deb
	@touch $@

# libFuzzer is C++.
$(STAMPS)/fuzz-apt: Makefile | $(STAMPS)/rust
	@mkdir -p $(STAMPS)
	@$(call install-missing,$(FUZZ_APT))
	@touch $@

# What other overlays are, to be measured beside.
$(STAMPS)/bench-apt: Makefile | $(STAMPS)/rust
	@mkdir -p $(STAMPS)
	@$(call install-missing,$(BENCH_APT))
	@touch $@

$(STAMPS)/rust:
	@mkdir -p $(STAMPS)
	@command -v cargo >/dev/null || { echo "Treecast needs a Rust toolchain: install one with rustup (https://rustup.rs), then run make again." >&2; exit 1; }
	@touch $@

$(STAMPS)/venv: requirements.lock | $(STAMPS)/apt
	@test -x $(PY) || python3 -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(STAMPS)/build: $(RUST) pyproject.toml $(STAMPS)/venv
	@VIRTUAL_ENV=$(abspath $(VENV)) $(VENV)/bin/maturin develop --release --locked --quiet
	@touch $@

# Without bytecode each start of a node would compile what has changed: some environments keep Python from writing it.
install: $(STAMPS)/build
	@$(PY) -m compileall -q src lab bench tests

demo: install
	$(PY) -m lab.demo

# pytest compiles the tests itself, to show what was compared. It does so once here, and not in each of its processes: where
# Python is kept from writing bytecode it would be so each time.
collect = PYTHONDONTWRITEBYTECODE= $(PY) -m pytest --collect-only -qq $(1) >/dev/null
test: install $(STAMPS)/test-apt
	cargo test --workspace --release --locked --quiet
	cargo test --manifest-path $(LOAD) --release --locked --quiet
	@$(call collect,tests/unit tests/sim tests/fuzz) & $(call collect,tests/lab tests/property tests/differential); wait
	$(PY) -m pytest -n 5 --dist loadgroup --no-loadscope-reorder -m 'not soak and not alone' tests/unit tests/property tests/differential tests/fuzz tests/sim tests/lab
	$(PY) -m pytest -m 'alone and not soak' tests/lab

# Ten minutes of a stream, its losses and its memory; two minutes of joins and leaves on three LANs; a slow router; how soon a
# join, a leave, a death, a restart and a take-over take effect; each guard of tests/mutation taken out in turn; the measurements of bench; twenty times as many cases of Rust's fuzzers and forty times as many of Python's, and a minute of libFuzzer for each parser of Rust.
soak: install $(STAMPS)/test-apt
	$(MAKE) fuzz
	$(PY) -m pytest tests -m soak
	TREECAST_FUZZ_SCALE=20 cargo test --package treecast-core --release --locked --quiet --test all fuzz::
	TREECAST_FUZZ_SCALE=40 $(PY) -m pytest --timeout 1200 tests/fuzz

# Each parser of crates/fuzz under libFuzzer, from the kept corpus on, in the compiler's coverage counters (which stable has). What
# is found lies in out/fuzz: an input that fails as PARSER-crash-*, those that reach further by parser. CONTRIBUTING.md: how they are kept.
FUZZ_S := 60
COVERAGE := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)
fuzz: $(STAMPS)/fuzz-apt
	RUSTFLAGS="$(COVERAGE)" cargo build --manifest-path $(FUZZ)/Cargo.toml --release --locked --quiet --target $(HOST)
	@for parser in $(FUZZ_PARSERS); do mkdir -p out/fuzz/$$parser; echo "fuzz $$parser, $(FUZZ_S) s"; log=out/fuzz/$$parser.log; \
	  TREECAST_FUZZ_PARSER=$$parser $(FUZZ)/target/$(HOST)/release/treecast-fuzz-guided -max_total_time=$(FUZZ_S) -max_len=4096 \
	    -artifact_prefix=out/fuzz/$$parser- out/fuzz/$$parser crates/fuzz/corpus/$$parser >$$log 2>&1 || { tail -n 60 $$log; exit 1; }; \
	  grep DONE $$log; done

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) tools/rust_circles.py
	cargo fmt --all --check
	cargo fmt --manifest-path $(LOAD) --check
	cargo fmt --manifest-path $(FUZZ)/Cargo.toml --check
	cargo metadata --manifest-path $(FUZZ)/Cargo.toml --locked --format-version 1 >/dev/null
	cargo clippy --workspace --all-targets --release --locked --quiet -- -D warnings
	cargo clippy --manifest-path $(LOAD) --all-targets --release --locked --quiet -- -D warnings

# The unsafe part (crates/io/src/sys) under Miri, as far as it makes no system calls, and on loopback under AddressSanitizer.
# Needs a nightly toolchain with Miri: rustup toolchain install nightly --component miri,rust-src
sanitize:
	cargo +nightly miri test -p treecast-io --target-dir target/miri --lib --test loopback -- batch addresses
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p treecast-io --target-dir target/asan --target $(HOST) --lib --test loopback

bench: install $(STAMPS)/bench-apt
	cargo bench --package treecast-core --locked --quiet --bench tables --bench datagrams
	$(PY) -m bench

# Networks of real engines in virtual time. Numbers of nodes, and seconds of processor time for each: make simulate SIZES=32,64 LIMIT=60
SIZES := 32,128,300,1000
LIMIT := 300
simulate: install
	$(PY) -m bench.simulate --sizes $(SIZES) --limit $(LIMIT)

# Writes requirements.lock again from requirements.in (needs uv).
lock:
	uv pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 requirements.in -o requirements.lock

clean:
	rm -rf $(VENV) $(STAMPS) target bench/load/target $(FUZZ)/target out

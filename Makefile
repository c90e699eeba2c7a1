# The two commands that a newcomer needs: `make demo` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help demo test lint setup asterisk

CARGO ?= cargo

help:
	@echo "make demo   play a caller against the real server on loopback, and measure (no Asterisk needed)"
	@echo "make test   run every test, those against a real Asterisk included"
	@echo "make lint   formatting and lints, as CI wants them"

demo: setup
	$(CARGO) run --release --quiet -- demo

# One test binary after another, a few tests at a time: those against a real Asterisk run in real time.
test: setup asterisk
	$(CARGO) test --locked --no-fail-fast -- --test-threads=4

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# A C compiler: Rust links with it, and the TLS library has parts in C and assembler.
setup:
	@tests/setup.sh

# An Asterisk for the tests, made once and kept in the cache folder. Without it those tests say so and are skipped,
# or fail with CI=true.
asterisk:
	@if command -v asterisk >/dev/null; then echo "tests use the asterisk on the PATH"; \
	elif path=$$(docker/asterisk/root.sh); then echo "tests use the Asterisk in $$path"; \
	elif [ "$$CI" = true ]; then exit 1; fi

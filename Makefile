# The two commands that a newcomer needs: `make demo` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench-dsp bench-jitter bench-vad bench-stages bench-load bench-bargein setup

CARGO ?= cargo

help:
	@echo "make demo        play a caller against the real server on loopback, and measure (no Asterisk needed)"
	@echo "make test        run every test, those against a real Asterisk included"
	@echo "make lint        formatting and lints, as CI wants them"
	@echo "make bench-dsp   speed and quality of codecs and resamplers, ours and others'; fails where a bar is not met"
	@echo "make bench-jitter delay, loss and cost of jitter buffers over the same traces, ours and others'; the same"
	@echo "make bench-vad   how well detectors tell speech in noise, and what they cost, ours and others'; the same"
	@echo "make bench-stages what each stage of the media path costs by itself, one call's and a thousand's engines"
	@echo "make bench-load  what the server carries, thousands of calls beside a bare loop, and a soak; fails as bench-dsp does"
	@echo "make bench-bargein how soon the bot falls silent when the caller speaks, through a real Asterisk; the same"

demo: setup
	$(CARGO) run --release --locked -- demo

# One test binary after another, a few tests at a time: those against a real Asterisk run in real time. Where there is
# no Asterisk, no recogniser or no Pipecat they are skipped, which the last lines say; with CI=true that is a failure.
test: setup
	@tests/asterisk.sh; asterisk=$$?; tests/recogniser.sh; recogniser=$$?; tests/pipecat.sh; pipecat=$$?; \
	if [ $$((asterisk + recogniser + pipecat)) -ne 0 ] && [ "$$CI" = true ]; then exit 1; fi; \
	$(CARGO) test --locked --no-fail-fast -- --test-threads=4; status=$$?; \
	if [ $$asterisk -ne 0 ]; then echo "*** the tests against a real Asterisk were SKIPPED: there is none, see above"; fi; \
	if [ $$recogniser -ne 0 ]; then echo "*** the tests with a real recogniser were SKIPPED: there is none, see above"; fi; \
	if [ $$pipecat -ne 0 ]; then echo "*** the tests with a Pipecat bot were SKIPPED: there is none, see above"; fi; \
	exit $$status

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features bench-peers -- -D warnings

# On one core; a few minutes. Rewrites the figures and plots of docs/dsp.md.
bench-dsp: setup
	@benches/setup.sh libraries
	$(CARGO) bench --locked --bench dsp --features bench-peers

# On one core; a few minutes. Rewrites the figures and the plot of docs/jitter.md.
bench-jitter: setup
	@benches/setup.sh pesq
	$(CARGO) bench --locked --bench jitter

# On one core; some minutes. Rewrites the figures and the plots of docs/vad.md.
bench-vad: setup
	@benches/setup.sh speech
	$(CARGO) bench --locked --bench vad --features bench-peers

# On one core; a minute. What has changed since the last run here is told, too.
bench-stages: setup
	$(CARGO) bench --locked --bench stages

# On two cores; ten minutes, and ten more for the soak. Rewrites the figures of docs/performance.md.
bench-load: setup
	$(CARGO) bench --locked --bench load

# Five minutes. Rewrites the figures of docs/bargein.md.
bench-bargein: setup
	@tests/asterisk.sh
	$(CARGO) bench --locked --bench bargein

# A C compiler: Rust links with it, and the TLS library has parts in C and assembler. libopus: the Opus codec.
setup:
	@tests/setup.sh

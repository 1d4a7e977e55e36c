"""The two-rate runtime: policy server, robot loop, safety. Never imports torch."""

"""The supervised training loop, once: resumable to the bit, checkpoints of our own."""

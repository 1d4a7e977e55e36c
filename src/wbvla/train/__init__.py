"""Supervised training, once: the loop, its optimiser and its checkpoints."""

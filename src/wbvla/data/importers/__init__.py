"""What a laboratory has, brought into the project's dataset: one file per foreign format, one engine for all."""

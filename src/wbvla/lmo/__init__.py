"""The low-level controller: commands become joint targets, by reinforcement learning."""

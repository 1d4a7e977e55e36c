"""Tasks: a world, instructions, a start distribution, sub-goals and success as functions of world state."""

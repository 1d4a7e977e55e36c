"""Worlds in MuJoCo: robots, rooms, tasks, cameras, bodies and batched engines."""

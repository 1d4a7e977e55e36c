"""A body and a driver make episodes."""

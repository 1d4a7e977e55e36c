"""The verbs of the command line; the only room that joins stations."""

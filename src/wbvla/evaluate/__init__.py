"""Trials through the deployed loop, numbers with intervals, one report."""

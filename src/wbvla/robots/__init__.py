"""Robots as data: tables of facts, and what follows from them by numpy alone."""

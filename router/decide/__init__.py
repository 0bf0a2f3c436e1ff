"""Decisions: pure functions from a state and a record to a state and outputs. No clock, no I/O, no log lines."""

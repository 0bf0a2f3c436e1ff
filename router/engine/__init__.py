"""Runs the router: the loop from log to decisions and back, and the writers outside it."""

"""What runs: the loop from log to decisions and back, and what is written outside it."""

"""What the cargo's status is: a bill's events, holds and releases, and what follows from them."""

"""Brokers are started once for all tests, and only if one asks."""

from tests.kafka.fixtures import kafka, secured

__all__ = ["kafka", "secured"]

"""Brokers are started once for all tests, and only if one asks."""

import pytest

pytest.register_assert_rewrite("tests.log.contract", "tests.stories")

from tests.kafka.fixtures import kafka, secured  # noqa: E402 - what is imported before can't be rewritten

__all__ = ["kafka", "secured"]

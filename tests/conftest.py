"""Brokers are started once for all tests, and only if one asks."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.console.five_questions", "tests.log.contract", "tests.stories")

from tests.kafka.fixtures import kafka, secured  # noqa: E402 - what is imported before can't be rewritten

__all__ = ["kafka", "secured"]

os.environ.pop("COLUMNS", None)  # the width of the terminal that the tests were started from

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""No deadline: the time of an example tells how busy the machine is, and no property is about that."""


@pytest.fixture(autouse=True)
def _log_lines_as_before() -> Iterator[None]:
    """A command that runs within a test logs to that test's standard error, which ends with the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)

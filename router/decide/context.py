"""What a decision sees besides state and record."""

from __future__ import annotations

from typing import NamedTuple

from router.decide.ledger.rules import Rules
from router.decide.recipients.registry import Registry


class Context(NamedTuple):
    registry: Registry
    rules: Rules

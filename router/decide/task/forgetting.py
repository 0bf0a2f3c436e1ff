"""When a bill is forgotten, and what is said then: nothing is kept of a life that is over and quiet."""

from __future__ import annotations

from collections.abc import Iterator

from router import codec, topics
from router.clock import DAY
from router.decide.conclude import Decision
from router.decide.ledger.rules import Rules
from router.decide.ledger.state import BillState
from router.decide.ledger.status import OVER
from router.decide.notices.entered import Entered
from router.log.interface import Output


def is_forgettable(state: BillState, now: int, rules: Rules) -> bool:
    """Whether a life is over and has been quiet for long, or any bill has for much longer. `now`: UTC milliseconds."""
    quiet = now - state.touched if state.touched else 0  # 0: from before the first tick of all
    if quiet >= rules.forget_silent_after_days * DAY:
        return True
    return state.assess(rules)[1].status in OVER and quiet >= rules.forget_after_days * DAY


def withdrawals(state: BillState) -> Iterator[Output]:
    """What takes back all that the bill has said to the index, and that it waits."""
    for fact in state.said.values():
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact._replace(present=False)))
    if state.waiting:
        yield Output(topics.WAITING, state.key.encode(), None)


def forgotten(state: BillState, rules: Rules) -> Decision:
    """The last entry in its history; nobody is told."""
    last = state.copy()
    last.sequence += 1
    after = state.assess(rules)[1]
    return Decision(last, Entered(last, "FORGOTTEN"), after, after)

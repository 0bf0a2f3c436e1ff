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


def is_forgettable(state: BillState, elapsed: int, rules: Rules) -> bool:
    """Whether a life is over and has been quiet for long, or any bill has for much longer. `elapsed`: the registry's,
    since a clock that jumps must not make a do-not-load old."""
    quiet = elapsed - state.touched if state.touched else 0  # 0: from before the first tick of all
    if quiet >= rules.forget_silent_after_days * DAY:
        return True
    return state.assess(rules)[1].status in OVER and quiet >= rules.forget_after_days * DAY


def withdrawals(state: BillState) -> Iterator[Output]:
    """What takes back all that the bill has said to the index, and that it waits."""
    for fact in state.said.values():
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact._replace(present=False)))
    if state.waiting:
        yield Output(topics.WAITING, state.key.encode(), None)


def on_record(state: BillState, now: int, rules: Rules) -> Iterator[Output]:
    """For the operators, on `snp.audit`: a bill that something still stops and that is forgotten all the same."""
    after = state.assess(rules)[1]
    if after.stopped:
        holds = ", ".join(sorted({hold.code or hold.kind for hold in after.holds}))
        detail = f"{after.status} ({holds}); nothing was heard of it for {rules.forget_silent_after_days} days"
        entry = {"at": now, "by": "router", "action": "forget", "subject": state.key, "detail": detail}
        yield Output(topics.AUDIT, state.key.encode(), codec.encode("audit-entry", entry))


def forgotten(state: BillState, rules: Rules) -> Decision:
    """The last entry in its history; nobody is told."""
    last = state.copy()
    last.sequence += 1
    after = state.assess(rules)[1]
    return Decision(last, Entered(last, "FORGOTTEN"), after, after)

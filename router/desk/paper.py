"""Bills that CBP has only on paper: what is still on paper, what of it was filed electronically since, under which
number, and an operator's word that the two are one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, NamedTuple, Self

from router import codec, topics
from router.codec import encode_value
from router.decide.bill_state import BillState
from router.decide.cargo_facts import Cargo
from router.decide.rules import Rules
from router.desk.views import read_state
from router.engine.administration import AuditEntry, audit_output
from router.errors import UsageError
from router.log.interface import Log, Output
from router.model.eastern import DAY, MINUTE
from router.model.identifiers import container_key, split_bill_key
from router.model.inputs import PaperMatch
from router.task.state_records import decode_state

ON_PAPER: Final = "ON_PAPER"
FILED: Final = "FILED"
FILED_AS: Final = "FILED_AS"

HOUR: Final = 60 * MINUTE
SHOWN_PROPOSALS: Final = 5


class PaperView(NamedTuple):
    """One bill that was taken on paper, as it is now."""

    bill: str
    state: str
    """`ON_PAPER`; `FILED` under the same number; `FILED_AS` another."""
    filed_as: str | None
    delivered_at: int
    form: str
    ticket: str | None
    status: str
    do_not_load: bool
    known: Cargo
    quantity: int | None


class Proposal(NamedTuple):
    """An electronic bill that may be what a paper bill was filed as."""

    paper: str
    electronic: str
    agrees: tuple[str, ...]
    """Of `containers`, `carrier`, `sailing`, `quantity`: those that are known and the same."""
    differs: tuple[str, ...]
    """Those that are known on both and not the same."""


async def read_paper_bills(log: Log, rules: Rules) -> list[PaperView]:
    """All that were ever taken on paper and are still kept, the earliest delivery first."""
    keys = await _paper_keys(log)
    states = {key: state async for key, state in _states(log, rules, keys, None)}
    return sorted(_views(states, rules), key=lambda view: (view.delivered_at, view.bill))


async def propose_matches(log: Log, rules: Rules) -> list[Proposal]:
    """For each bill that is still on paper the electronic bills that may be it, the best first.

    A candidate shares a container and the carrier, or, for cargo without containers, the ship, the carrier and the
    pieces.
    """
    paper_keys = await _paper_keys(log)
    papers = {key: state async for key, state in _states(log, rules, paper_keys, None) if _state_of(state) == ON_PAPER}
    if not papers:
        return []
    traces = _traces([state.facts.known() for state in papers.values()])
    candidates = {
        key: _Cargo.of(key, state, rules)
        async for key, state in _states(log, rules, frozenset(), traces)
        if key not in paper_keys and not (state.offline is not None and state.offline.replaces)
    }
    found = []
    for key, state in papers.items():
        paper = _Cargo.of(key, state, rules)
        proposals = [one for other, cargo in candidates.items() if (one := _compare(key, paper, other, cargo))]
        proposals.sort(key=lambda one: (len(one.differs), -len(one.agrees), one.electronic))
        found += proposals[:SHOWN_PROPOSALS]
    return found


async def match(log: Log, rules: Rules, paper: str, electronic: str, by: str, now: int) -> PaperMatch:
    """Say that a paper bill was filed as another; `run` reissues what was sent. Raises NotFoundError, UsageError."""
    state = await read_state(log, rules, paper)
    await read_state(log, rules, electronic)
    kind = _state_of(state)
    if kind is None:
        raise UsageError(f"{paper} was never taken on paper: see `snp-router paper list`")
    if kind == FILED_AS:
        assert state.offline is not None
        assert state.offline.paper is not None
        raise UsageError(f"{paper} was filed as {state.offline.paper.filed_as} already: the first word counts")
    if paper == electronic:
        raise UsageError(f"{paper} can't be filed as itself: its own filing is recognised without a word")
    scac, number = split_bill_key(paper)
    word = PaperMatch(scac, number, electronic, by, now)
    deed = AuditEntry(now, by, "paper match", paper, f"filed as {electronic}")
    await log.append([Output(topics.FILINGS, paper.encode(), encode_value(word)), audit_output(deed)], atomic=True)
    return word


def _state_of(state: BillState) -> str | None:
    """None: it was never on paper."""
    paper = state.offline.paper if state.offline is not None else None
    if paper is None:
        return None
    if paper.filed_as is not None:
        return FILED_AS
    return FILED if paper.electronic else ON_PAPER


def _views(states: dict[str, BillState], rules: Rules) -> Iterator[PaperView]:
    for key, state in states.items():
        kind = _state_of(state)
        if kind is None or state.offline is None or state.offline.paper is None:
            continue
        paper = state.offline.paper
        known, after = state.assess(rules)
        what = (after.status, after.do_not_load, known, after.manifested_quantity)
        yield PaperView(key, kind, paper.filed_as, paper.delivered_at, paper.form, paper.ticket, *what)


def permission_words(view: PaperView, now: int) -> str:
    """How the 24 hours since delivery stand. Their end permits lading only under CBP's outage procedure, and only
    without a do-not-load (24-hour / Trade Act FAQ, vessel mode, section 27)."""
    if view.do_not_load:
        return "DO NOT LOAD"
    left = view.delivered_at + DAY - now
    if left <= 0:
        return f"24 h over, {-left // HOUR} h ago"
    return f"{left // HOUR} h {left % HOUR // MINUTE} min left"


class _Cargo(NamedTuple):
    """What tells whether two bills are of the same cargo. None and empty are unknown."""

    issuer: str
    carrier: str | None
    sailing: tuple[str, str | None] | None
    containers: frozenset[str]
    quantity: int | None

    @classmethod
    def of(cls, key: str, state: BillState, rules: Rules) -> Self:
        known, after = state.assess(rules)
        sailing = (known.imo_number, known.voyage_number) if known.imo_number else None
        containers = frozenset(map(container_key, known.container_numbers))
        return cls(split_bill_key(key)[0], known.carrier_scac, sailing, containers, after.manifested_quantity)


def _compare(paper_key: str, paper: _Cargo, other_key: str, other: _Cargo) -> Proposal | None:
    both = [(name, one, two) for name, one, two in zip(_Cargo._fields, paper, other, strict=True) if one and two]
    agrees = tuple(name for name, one, two in both if one == two)
    differs = tuple(name for name, one, two in both if one != two)
    if paper.containers:
        alike = bool(paper.containers & other.containers)
    else:
        alike = {"sailing", "carrier", "quantity"} <= set(agrees)
    return Proposal(paper_key, other_key, agrees, differs) if alike else None


def _traces(cargo: Iterable[Cargo]) -> re.Pattern[bytes] | None:
    """What the bytes of every candidate hold: a container's number, or the ship's."""
    words = set()
    for known in cargo:
        words |= set(map(container_key, known.container_numbers)) or {known.imo_number or ""}
    words.discard("")
    return re.compile(b"|".join(re.escape(word.encode()) for word in sorted(words))) if words else None


async def _paper_keys(log: Log) -> frozenset[str]:
    """Every bill that came in on paper: told by its record's schema, without reading all filings."""
    header = codec.header("paper-bill")
    keys = set()
    async for batch in log.read([topics.FILINGS], until_end=True):
        keys |= {record.key.decode() for record in batch if record.value is not None and record.value[:5] == header}
    return frozenset(keys)


async def _states(
    log: Log, rules: Rules, keys: frozenset[str], traces: re.Pattern[bytes] | None
) -> AsyncIterator[tuple[str, BillState]]:
    """The bills named, and those in whose bytes a trace is found: reading a bill costs a hundred times as much."""
    found: dict[str, bytes] = {}
    async for batch in log.read([topics.BILLS], until_end=True):
        for record in batch:
            if record.key.startswith(topics.POSITION_KEY):
                continue
            key, value = record.key.decode(), record.value
            if value is not None and (key in keys or (traces is not None and traces.search(value))):
                found[key] = value
            else:
                found.pop(key, None)
    for key, value in found.items():
        yield key, decode_state(value)

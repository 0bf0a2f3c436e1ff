"""Paper bills: bills that CBP has on paper only, and their match with bills filed electronically since."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, NamedTuple, Self

from router import codec, topics
from router.codec.packed import BILL_STATE, PAPER_BILL
from router.decide.bill_state import BillState, assess_bill
from router.decide.cargo_facts import Cargo
from router.decide.rules import Rules
from router.desk.bill_views import read_state
from router.engine.administration import AuditEntry, audit_output
from router.engine.intake import ImportCount, append_filings
from router.errors import InputError, UsageError
from router.log.interface import Log, Output
from router.model.eastern import DAY, HOUR, MINUTE
from router.model.identifiers import bill_key, container_key, split_bill_key
from router.model.inputs import PaperBill, PaperMatch

ON_PAPER: Final = "ON_PAPER"
FILED: Final = "FILED"
FILED_AS: Final = "FILED_AS"


class PaperView(NamedTuple):
    """A bill that was taken on paper, as it is now."""

    bill: str
    state: str
    """`ON_PAPER`; `FILED` under the same number; `FILED_AS` another."""
    filed_as: str | None
    delivered_at: int
    form: str
    ticket: str | None
    status: str
    do_not_load: bool
    cargo: Cargo
    quantity: int | None


class Proposal(NamedTuple):
    """An electronic bill that may be the filing of a paper bill."""

    paper: str
    electronic: str
    agrees: tuple[str, ...]
    """The equal ones of `issuer`, `carrier`, `sailing`, `containers` and `quantity`, if known on both bills."""
    differs: tuple[str, ...]
    """The different ones, if known on both bills."""


async def read_paper_bills(log: Log, rules: Rules) -> list[PaperView]:
    """Read all bills taken on paper that are not forgotten, the earliest delivery first."""
    keys = await _paper_keys(log)
    views = [view async for key, state in _states(log, keys) if (view := _view(key, state, rules)) is not None]
    return sorted(views, key=lambda view: (view.delivered_at, view.bill))


def _view(key: str, state: BillState, rules: Rules) -> PaperView | None:
    """None if the bill was never on paper."""
    paper = state.downtime.paper if state.downtime is not None else None
    if paper is None:
        return None
    kind = FILED_AS if paper.filed_as is not None else FILED if paper.electronic else ON_PAPER
    bill = assess_bill(state, rules)
    now = (bill.status.status, bill.status.do_not_load, bill.cargo, bill.status.manifested_quantity)
    return PaperView(key, kind, paper.filed_as, paper.delivered_at, paper.form, paper.ticket, *now)


def lading_clock(view: PaperView, now: int) -> str:
    """Phrase the rest of the 24 hours since delivery.

    Their end permits lading only under CBP's outage procedure, and only without a do-not-load (24-hour / Trade Act FAQ,
    vessel mode, section 27).
    """
    if view.do_not_load:
        return "DO NOT LOAD"
    left = view.delivered_at + DAY - now
    if left <= 0:
        return f"24 h over, {-left // HOUR} h ago"
    return f"{left // HOUR} h {left % HOUR // MINUTE} min left"


async def propose_matches(log: Log, rules: Rules) -> list[Proposal]:
    """Propose electronic bills for each bill still on paper, the best first.

    A candidate shares a container; for cargo without containers it shares sailing, carrier and quantity.
    """
    paper_keys = await _paper_keys(log)
    papers = {
        key: state
        async for key, state in _states(log, paper_keys)
        if state.downtime is not None and state.downtime.is_on_paper
    }
    if not papers:
        return []
    traces = _traces(state.facts.cargo() for state in papers.values())
    candidates = {
        key: _CargoTraits.of(key, state, rules)
        async for key, state in _states(log, frozenset(), traces)
        if key not in paper_keys and not state.aliases
    }
    found = []
    for key, state in papers.items():
        paper = _CargoTraits.of(key, state, rules)
        proposals = [one for other, cargo in candidates.items() if (one := _compare(key, paper, other, cargo))]
        proposals.sort(key=lambda one: (len(one.differs), -len(one.agrees), one.electronic))
        found += proposals
    return found


class _CargoTraits(NamedTuple):
    """Traits by which two bills of the same cargo are recognised. None and empty are unknown."""

    issuer: str
    carrier: str | None
    sailing: tuple[str, str | None] | None
    containers: frozenset[str]
    quantity: int | None

    @classmethod
    def of(cls, key: str, state: BillState, rules: Rules) -> Self:
        bill = assess_bill(state, rules)
        shipment = bill.cargo.shipment
        sailing = (shipment.imo_number, shipment.voyage_number) if shipment.imo_number else None
        containers = frozenset(map(container_key, shipment.container_numbers))
        quantity = bill.status.manifested_quantity
        return cls(split_bill_key(key)[0], shipment.carrier_scac, sailing, containers, quantity)


def _compare(paper_key: str, paper: _CargoTraits, other_key: str, other: _CargoTraits) -> Proposal | None:
    both = [(name, one, two) for name, one, two in zip(paper._fields, paper, other, strict=True) if one and two]
    agrees = tuple(name for name, one, two in both if one == two)
    differs = tuple(name for name, one, two in both if one != two)
    if paper.containers:
        alike = bool(paper.containers & other.containers)
    else:
        alike = {"sailing", "carrier", "quantity"} <= set(agrees)
    return Proposal(paper_key, other_key, agrees, differs) if alike else None


async def register(log: Log, values: Iterable[PaperBill | InputError], by: str, now: int) -> ImportCount:
    """Register paper bills, with one entry of the audit. Returns the rows that were refused, as `append_filings`."""
    last = ""

    def noted() -> Iterator[PaperBill | InputError]:
        nonlocal last
        for value in values:
            if isinstance(value, PaperBill):
                last = bill_key(value.filing.scac, value.filing.bill_of_lading)
            yield value

    added = await append_filings(log, noted())
    if added.count:
        subject = last if added.count == 1 else f"{added.count} bills"
        await log.append([audit_output(AuditEntry(now, by, "paper add", subject))])
    return added


async def match(
    log: Log, rules: Rules, paper: str, electronic: str, by: str, now: int, *, preview: bool = False
) -> PaperMatch:
    """Record that a paper bill was filed as another; `run` reissues its notices. With `preview` write nothing. Raises
    NotFoundError, UsageError."""
    view = _view(paper, await read_state(log, paper), rules)
    await read_state(log, electronic)
    if view is None:
        raise UsageError(f"{paper} was never on paper: see `snp-router paper list`")
    if view.filed_as is not None:
        raise UsageError(f"{paper} is matched already, with {view.filed_as}: the first match counts")
    if paper == electronic:
        raise UsageError(f"{paper} needs no match with itself: a filing under its own number is recognised")
    matched = PaperMatch(*split_bill_key(paper), electronic, by, now)
    if preview:
        return matched
    deed = AuditEntry(now, by, "paper match", paper, f"filed as {electronic}")
    await log.append(
        [Output(topics.FILINGS, electronic.encode(), codec.encode_value(matched)), audit_output(deed)], atomic=True
    )
    return matched


async def _paper_keys(log: Log) -> frozenset[str]:
    """Keys of all bills taken on paper; a record's header shows its kind without decoding every filing."""
    keys = set()
    async for batch in log.read([topics.FILINGS], until_end=True):
        keys |= {record.key.decode() for record in batch if record.value is not None and PAPER_BILL.is_of(record.value)}
    return frozenset(keys)


def _traces(cargo: Iterable[Cargo]) -> re.Pattern[bytes] | None:
    """Match the bytes of every candidate: each contains a container's number, or the ship's."""
    words = set()
    for one in cargo:
        words |= set(map(container_key, one.shipment.container_numbers)) or {one.shipment.imo_number or ""}
    words.discard("")
    return re.compile(b"|".join(re.escape(word.encode()) for word in sorted(words))) if words else None


async def _states(
    log: Log, keys: frozenset[str], traces: re.Pattern[bytes] | None = None
) -> AsyncIterator[tuple[str, BillState]]:
    """States of the bills named, and of those whose bytes contain a trace: decoding costs a hundred times a search."""
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
        yield key, BILL_STATE.decode(value)

"""What is known of a bill besides its events: learnt from filings and from what notifications carry, and merged so that
the order of arrival doesn't matter.

A scalar is a register: of what events said, the one CBP posted last wins; between that and the filing, the one received
last. A list is what the filing says, where it says anything, and what events named since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from router.model.eastern import DAY
from router.model.inputs import Disposition, Filing, ManualEvent, PaperBill, Snapshot

SCALARS: Final = (
    "master_bill",
    "original_bill",
    "carrier_scac",
    "imo_number",
    "vessel_name",
    "voyage_number",
    "manifest_sequence_number",
    "port_of_unlading",
    "arrival_date",
)

NEVER: Final = -1
MOST_NAMED: Final = 1000
"""Second notify parties, and containers, that events may add to a bill; beyond, those named longest ago go. No bill has
as many: it keeps a mistaken feed from making one without end."""

_HOUSE: Final = frozenset({"30", "N", "HOUSE"})
_NO_HOUSE: Final = frozenset({"00", "01", "10", "11", "12", "28", "29", "M", "2", "REGULAR", "MASTER", "EMPTY"})
_EMPTY: Final = frozenset({"12", "2", "EMPTY"})
_SIMPLE: Final = frozenset({"00", "01", "REGULAR"})


Scalars = tuple[str | None, ...]
"""Values of `SCALARS`, in that order."""
_NONE: Final[Scalars] = (None,) * len(SCALARS)
IN_DISPOSITION: Final = slice(Disposition._fields.index(SCALARS[0]), Disposition._fields.index(SCALARS[-1]) + 1)
IN_FILING: Final = slice(Filing._fields.index(SCALARS[0]), Filing._fields.index(SCALARS[-1]) + 1)
"""Where they lie, next to each other and in that order."""


class ShipmentReport(NamedTuple):
    """What events posted and received at one time said of the scalars, as far as nothing later did."""

    posted: int
    received_at: int
    scalars: Scalars


class Cargo(NamedTuple):
    """All that is known of a bill, merged. Names as in `Filing`."""

    bill_type: str | None = None
    snps: tuple[str, ...] = ()
    master_bill: str | None = None
    original_bill: str | None = None
    carrier_scac: str | None = None
    imo_number: str | None = None
    vessel_name: str | None = None
    voyage_number: str | None = None
    manifest_sequence_number: str | None = None
    port_of_unlading: str | None = None
    arrival_date: str | None = None
    container_numbers: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """An empty container's bill (bill type 12; CBP Trade Act FAQ, vessel mode, section 16)."""
        return (self.bill_type or "").upper() in _EMPTY

    @property
    def is_simple(self) -> bool:
        return (self.bill_type or "").upper() in _SIMPLE

    def needs_snp(self, issuer: str) -> bool:
        """An NVOCC's bill must name one (FAQ section 12). Where the type isn't known: any bill that its issuer doesn't
        carry on its own manifest."""
        kind = (self.bill_type or "").upper()
        if kind in _HOUSE:
            return True
        return kind not in _NO_HOUSE and (self.master_bill is not None or self.carrier_scac != issuer)


def supersedes(filing: Filing, known: Filing, *more: object) -> bool:
    """Whether a filing counts in the place of the one known. Of two received in the same millisecond the greater one
    does (with `more`, what else was said with the one and the other): which came first must not matter."""
    if filing.received_at != known.received_at:
        return filing.received_at > known.received_at
    said, said_before = more or (None, None)
    return repr((filing, said)) > repr((known, said_before))


def content_of(filing: Filing) -> Filing:
    """Without when and from where it came."""
    return filing._replace(received_at=0, source=None)


@dataclass(frozen=True, slots=True)
class CargoFacts:
    filing: Filing | None = None
    learnt: tuple[ShipmentReport, ...] = ()
    """Each scalar in one of them at most; most bills have one."""
    snps: Mapping[str, int] = field(default_factory=dict)
    """Named by events, to when they last were (received_at)."""
    containers: Mapping[str, int] = field(default_factory=dict)

    def learn(self, disposition: Disposition, posted: int) -> CargoFacts:
        """With what a disposition carries; the same object if that adds nothing. Hearing the same again later counts:
        it may now be newer than the filing."""
        received_at = disposition.received_at
        learnt = _latest(self.learnt, ShipmentReport(posted, received_at, cast("Scalars", disposition[IN_DISPOSITION])))
        snps = _named(self.snps, disposition.snps, received_at)
        containers = _named(self.containers, disposition.container_numbers, received_at)
        containers = _named(containers, disposition.other_container_numbers, received_at)
        if learnt is self.learnt and snps is self.snps and containers is self.containers:
            return self
        return CargoFacts(self.filing, learnt, snps, containers)

    def known(self) -> Cargo:
        filing = self.filing
        if filing is None:
            scalars = _merged_scalars(self.learnt, _NONE, NEVER)
            return Cargo._make((None, tuple(self.snps), *scalars, tuple(self.containers)))
        since = filing.received_at
        scalars = _merged_scalars(self.learnt, cast("Scalars", filing[IN_FILING]), since)
        snps = _merged(filing.snps, self.snps, since)
        containers = _merged(filing.container_numbers, self.containers, since)
        return Cargo._make((filing.bill_type, snps, *scalars, containers))


def _latest(learnt: tuple[ShipmentReport, ...], said: ShipmentReport) -> tuple[ShipmentReport, ...]:
    """Of each scalar what was posted last, then received last, then is the greatest."""
    if said.scalars == _NONE:
        return learnt
    if not learnt:
        return (said,)
    old = learnt[0]
    if len(learnt) == 1 and (old.scalars == said.scalars or None not in said.scalars) and old[:2] < said[:2]:
        return (said,)  # as most often: it replaces all that was known
    return _merged_learnt(learnt, said)


def _merged_learnt(learnt: tuple[ShipmentReport, ...], said: ShipmentReport) -> tuple[ShipmentReport, ...]:
    winners: list[tuple[int, int, str] | None] = [None] * len(SCALARS)
    for posted, received_at, scalars in (*learnt, said):
        for place, value in enumerate(scalars):
            winner = winners[place]
            if value is not None and (winner is None or (posted, received_at, value) > winner):
                winners[place] = posted, received_at, value
    times = dict.fromkeys(winner[:2] for winner in winners if winner is not None)
    merged = tuple(
        ShipmentReport(
            *time, tuple(winner[2] if winner is not None and winner[:2] == time else None for winner in winners)
        )
        for time in times
    )
    return learnt if set(merged) == set(learnt) else merged


def _merged_scalars(learnt: tuple[ShipmentReport, ...], filed: Scalars, since: int) -> Scalars:
    """What events said since the filing, or where it says nothing."""
    if filed is _NONE and len(learnt) == 1:
        return learnt[0].scalars
    merged = list(filed)
    for _, received_at, scalars in learnt:
        for place, value in enumerate(scalars):
            if value is not None and (received_at >= since or filed[place] is None):
                merged[place] = value
    return tuple(merged)


def _named(register: Mapping[str, int], names: tuple[str, ...], received_at: int) -> Mapping[str, int]:
    news = [name for name in names if register.get(name, NEVER) < received_at]
    if not news:
        return register
    named = {**register, **dict.fromkeys(news, received_at)}
    if len(named) > MOST_NAMED:
        latest = set(sorted(named, key=lambda name: (named[name], name))[-MOST_NAMED:])
        named = {name: when for name, when in named.items() if name in latest}
    return named


def _merged(filed: tuple[str, ...], named: Mapping[str, int], since: int) -> tuple[str, ...]:
    if not filed:
        return tuple(named)
    later = (name for name, received_at in named.items() if received_at >= since)
    return tuple(dict.fromkeys((*filed, *later)))


FromPeople = Filing | PaperBill | Snapshot | ManualEvent
"""What people enter, at a machine of theirs."""


def set_right(value: FromPeople, now: int) -> FromPeople | None:
    """What was entered by a clock far ahead of the latest tick is as of that tick: else a filing would have the say
    over all that is filed until that day, and a lift would end all that is placed until then. None: it is in time, or
    no tick was seen."""
    entered = value.filing if isinstance(value, Snapshot) else value
    if not now or entered.received_at - now <= DAY:
        return None
    if isinstance(value, Snapshot):
        return value._replace(filing=value.filing._replace(received_at=now))
    if isinstance(value, ManualEvent):
        return value._replace(said_at=min(value.said_at, now), received_at=now)
    return value._replace(received_at=now)

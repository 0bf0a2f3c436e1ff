"""What is known of a bill besides its events: learnt from filings and from what notifications carry, and merged so that
the order of arrival doesn't matter.

A scalar is a register: of what events said, the one CBP posted last wins; between that and the filing, the one received
last. A list is what the filing says, where it says anything, and what events named since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.model.inputs import Disposition, Filing

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

_HOUSE: Final = frozenset({"30", "N", "HOUSE"})
_NO_HOUSE: Final = frozenset({"00", "01", "10", "11", "12", "28", "29", "M", "2", "REGULAR", "MASTER", "EMPTY"})
_EMPTY: Final = frozenset({"12", "2", "EMPTY"})
_SIMPLE: Final = frozenset({"00", "01", "REGULAR"})


class Learnt(NamedTuple):
    """What an event said of one scalar."""

    posted: int
    received_at: int
    value: str


class Known(NamedTuple):
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


@dataclass(slots=True)
class Facts:
    filing: Filing | None = None
    learnt: dict[str, Learnt] = field(default_factory=dict)
    snps: dict[str, int] = field(default_factory=dict)
    """Named by events, to when they last were (received_at)."""
    containers: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Facts:
        return Facts(self.filing, dict(self.learnt), dict(self.snps), dict(self.containers))

    def learn(self, disposition: Disposition, posted: int) -> bool:
        """Merge what a disposition carries; whether that changed anything. Hearing the same again later counts: it
        may now be newer than the filing."""
        changed = False
        received_at = disposition.received_at
        for name in SCALARS:
            value = getattr(disposition, name)
            if value is not None:
                old = self.learnt.get(name)
                new = Learnt(posted, received_at, value)
                if old is None or new > old:
                    self.learnt[name] = new
                    changed = True
        changed |= _name(self.snps, disposition.snps, received_at)
        changed |= _name(self.containers, disposition.container_numbers, received_at)
        changed |= _name(self.containers, disposition.other_container_numbers, received_at)
        return changed

    def known(self) -> Known:
        filing = self.filing
        if filing is None:
            scalars = {name: learnt.value for name, learnt in self.learnt.items()}
            return Known(snps=tuple(self.snps), container_numbers=tuple(self.containers), **scalars)
        since = filing.received_at
        scalars = {
            name: learnt.value
            for name, learnt in self.learnt.items()
            if learnt.received_at >= since or getattr(filing, name) is None
        }
        return Known(
            bill_type=filing.bill_type,
            snps=_merged(filing.snps, self.snps, since),
            container_numbers=_merged(filing.container_numbers, self.containers, since),
            **{name: scalars.get(name, getattr(filing, name)) for name in SCALARS},
        )


def _name(register: dict[str, int], names: Iterable[str], received_at: int) -> bool:
    changed = False
    for name in names:
        old = register.get(name)
        if old is None or old < received_at:
            register[name] = received_at
            changed = True
    return changed


def _merged(filed: tuple[str, ...], named: dict[str, int], since: int) -> tuple[str, ...]:
    if not filed:
        return tuple(named)
    later = (name for name, received_at in named.items() if received_at >= since)
    return tuple(dict.fromkeys((*filed, *later)))

"""One pass over all bills for `snp-router check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from router import topics
from router.codec.packed import BILL_STATE
from router.decide.bill_state import BillState
from router.decide.ledger import QUANTITY_CODES
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.unconfirmed_releases import UnconfirmedReleases, month_before
from router.log.interface import Log

MOST_NAMED: Final = 20
"""Bills that a sentence names."""


class DifferingQuantity(NamedTuple):
    """A bill of which CBP has another quantity than its filing."""

    bill: str
    filed: int
    by_cbp: int
    """Quantity of the latest 55, 56 or 69. It counts."""


class IndicatorUse(NamedTuple):
    """Use of X420 by CBP."""

    value: str
    disposition_code: str
    events: int
    """Number among the events that the bills keep."""


class CheckedBills(NamedTuple):
    unconfirmed: UnconfirmedReleases
    differing: tuple[DifferingQuantity, ...]
    """By bill."""
    indicators: tuple[IndicatorUse, ...] = ()

    def indicator_notes(self, rules: Rules) -> Iterator[str]:
        for value, code, events in self.indicators:
            seen = f"X420 = {value} on {events:,} events of code {code}"
            meaning = rules.x420_meanings.get(value)
            if meaning is not None:
                yield f"{seen}: x420_meanings takes it as {meaning}"
            else:
                yield (
                    f"{seen}: its meaning is not known, so they free nothing. Ask CBP, then set rules.x420_meanings = "
                    f'{{"{value}" = "none"}} (or "resent", "reversal") and give `snp-router rules apply`'
                )

    def quantity_notes(self) -> list[str]:
        named = [
            f"bill {one.bill}: its filing declares {one.filed:,} pieces, CBP's latest 55, 56 or 69 says {one.by_cbp:,} "
            "and counts; correct the filing if CBP is right"
            for one in self.differing[:MOST_NAMED]
        ]
        more = len(self.differing) - len(named)
        return [*named, f"and {more:,} more bills of which CBP has another quantity"] if more > 0 else named


async def read_bills(log: Log, registry: Registry) -> CheckedBills:
    """Count the bills that the rule `release_after_hold` holds and the uses of X420, and list the bills whose
    quantities differ.

    Reads all of `snp.bills`, some 12 µs of CPU a bill.
    """
    since = month_before(registry)
    now, month, touched = set[bytes](), set[bytes](), set[bytes]()
    differing: dict[bytes, DifferingQuantity] = {}
    indicators: dict[bytes, list[tuple[str, str]]] = {}
    async for batch in log.read([topics.BILLS], until_end=True):
        for record in batch:
            if record.key.startswith(topics.POSITION_KEY):
                continue
            state = BILL_STATE.decode(record.value) if record.value is not None else BillState("")
            for bills, counts in (
                (now, state.unconfirmed.is_now),
                (month, state.unconfirmed.reaches(since)),
                (touched, state.touched >= since or state.unconfirmed.is_now),
            ):
                (bills.add if counts else bills.discard)(record.key)
            differing.pop(record.key, None)
            if (found := differing_quantity(state)) is not None:
                differing[record.key] = found
            indicators.pop(record.key, None)
            if filled := [(one.indicator, one.code) for one in state.events if one.indicator is not None]:
                indicators[record.key] = filled
    unconfirmed = UnconfirmedReleases(len(now), len(month), len(touched))
    uses = Counter(use for of_bill in indicators.values() for use in of_bill)
    indicated = tuple(IndicatorUse(*use, events) for use, events in sorted(uses.items()))
    return CheckedBills(unconfirmed, tuple(sorted(differing.values())), indicated)


def differing_quantity(state: BillState) -> DifferingQuantity | None:
    filed = state.facts.filed_quantity()
    if filed is None:
        return None
    certain = (one for one in state.events if one.uncertain is None)
    known = [one for one in certain if one.code in QUANTITY_CODES and one.quantity is not None]
    by_cbp = known[-1].quantity if known else state.folded.manifested if state.folded is not None else None
    return DifferingQuantity(state.key, filed, by_cbp) if by_cbp is not None and by_cbp != filed else None

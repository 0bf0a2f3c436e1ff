"""View of a container: every known bill with cargo in it, and what CBP allows of each."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.codec.packed import BILL_STATE
from router.decide.bill_state import assess_bill
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.standing_holds import StandingHold
from router.decide.status import ContainerStatus
from router.desk.bill_index import BillIndex, IndexedBill
from router.desk.bill_query import BillQuery, compact
from router.errors import UsageError
from router.model.identifiers import (
    SERIAL_WIDTH,
    container_check_digit,
    container_clean,
    container_key,
    is_container_key,
    is_valid_container,
)


class BoxBill(NamedTuple):
    """A bill with cargo in the box."""

    row: IndexedBill
    container: ContainerStatus | None
    """None: nothing is known of this box on this bill but its number."""
    holds: tuple[StandingHold, ...]
    """Holds that stop the box on this bill."""

    @property
    def allows(self) -> str:
        """The gate's answer for this bill's cargo in the box."""
        one = self.container
        if self.row.do_not_load or (one is not None and one.do_not_load):
            return "must not be loaded"
        if one is None:
            return "not known"
        if one.stopped:
            return "stopped"
        return "released" if one.released else "not released"


class BoxView(NamedTuple):
    """A container with the bills that name it, do-not-loads first."""

    number: str
    """With its check digit."""
    bills: tuple[BoxBill, ...]

    @property
    def verdict(self) -> str:
        """The answer for the whole box. A release of all known bills frees the cargo, not the box: others may be in
        it that were never sent to us."""
        answers = [bill.allows for bill in self.bills]
        if not answers:
            return "no bill is known that names this container"
        for worst in ("must not be loaded", "stopped"):
            if count := answers.count(worst):
                return f"{worst}: by {count} of {len(answers)} known bills"
        released = answers.count("released")
        if released < len(answers):
            return f"not released: {released} of {len(answers)} known bills are"
        return f"released: all {len(answers)} known bills are"

    @property
    def must_not_be_loaded(self) -> bool:
        return any(bill.allows == "must not be loaded" for bill in self.bills)

    @property
    def is_stopped(self) -> bool:
        return self.must_not_be_loaded or any(bill.allows == "stopped" for bill in self.bills)

    @property
    def is_released(self) -> bool:
        return bool(self.bills) and all(bill.allows == "released" for bill in self.bills)


ALL_BILLS: Final = 2**31
"""A box has as many bills as it has; there is no cut."""


def door_number(key: str) -> str | None:
    """The number with its check digit of a container key; None for a number that can't be recognised."""
    return f"{key}{container_check_digit(key)}" if is_container_key(key) else None


def box_number(text: str) -> str:
    """The number as written on the door, with its check digit, from a text with blanks, dashes, or without the digit.

    Raises UsageError for a number with another check digit, and for anything else.
    """
    number = container_clean(text) or ""
    if is_valid_container(number):
        serial = number[:SERIAL_WIDTH]
        return f"{serial}{container_check_digit(serial)}"
    serial = compact(text)[:SERIAL_WIDTH]
    if is_container_key(serial) and len(compact(text)) == SERIAL_WIDTH + 1:
        digit = container_check_digit(serial)
        raise UsageError(f"the check digit of {serial} is {digit}: compare {text!r} with the door")
    raise UsageError(f"{text!r} is not a container: four letters and six digits, such as CSQU 305438-3")


async def box_view(index: BillIndex, registry: Registry, rules: Rules, number: str, now: int) -> BoxView:
    """The box of a `box_number`."""
    key = container_key(number)
    page = await index.bills(BillQuery(container=key), registry, now, size=ALL_BILLS)
    bills = []
    for row in page.rows:
        state = await index.state(row.bill)
        if state is None:
            continue  # forgotten since
        status = assess_bill(BILL_STATE.decode(state), rules).status
        container = next((one for one in status.containers if container_key(one.number) == key), None)
        bills.append(BoxBill(row, container, tuple(hold for hold in status.holds if hold.concerns(key))))
    return BoxView(number, tuple(bills))

"""No notice holds what its recipient may not see: for random agreements and bills, on the bytes of every party's topic.

Whatever a bill is told carries that bill's own marks: entry number, remarks, facility, sequence number, a container of
its own, and, of what was said by hand or filed on paper, the names of people. Each mark may lie in that bill's notices
alone, and there only where a role of the recipient shows the field; people's names and what could not be read, nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any, Final, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.audience import CHARTERER, CO_LOADER, FILER, MASTER_CARRIER, OPERATOR, SNP, Disclosure
from router.decide.notices import NO_LONGER_NOTIFIED, SHOWN
from router.model.inputs import Disposition, Filing, ManualEvent, PaperBill
from router.model.registry_values import Outage, Party, Sailing
from router.model.vocabulary import Role
from tests.checking.harness import Harness, decoded
from tests.checking.samples import HOUSE, MASTER, SHARED, START, event
from tests.decide import stories
from tests.decide.stories import BILLS, SCACS, Story, live_through

OUTAGE: Final = "outage:"
"""What is said of a line's own outage concerns no bill; its remarks are meant for all who get it."""
EVERY_ROLE: Final = frozenset(get_args(Role))

SHOWN_TO: Final = {
    "entry_number": frozenset({FILER, SNP, MASTER_CARRIER}),
    "entry_type": frozenset({FILER, SNP, MASTER_CARRIER}),
    "master_bill": frozenset({FILER, SNP, MASTER_CARRIER}),
    "remarks": frozenset({FILER, SNP}),
    "firms": EVERY_ROLE,
    "manifest_sequence_number": EVERY_ROLE,
    "container": EVERY_ROLE,
    "people": frozenset[str](),
    "unreadable": frozenset[str](),
}
"""Who sees what (README): to which of a recipient's roles a field is shown. All else goes to all who are told."""

MARKS: Final = {
    "entry_number": "ENT{:02}777777",
    "remarks": "REMARK-OF-{:02}",
    "firms": "FI{:02}",
    "manifest_sequence_number": "SQ{:02}77",
    "container": "TKLU77770{:02}",
    "people": "WHO-SAID-SO-{:02}",
}

FAREWELL_SAYS: Final = {
    "kind", "scac", "bill_of_lading", "notice_id", "event_id", "cause", "covers", "recipient", "roles",
    "recipient_voyage_number",
}  # fmt: skip


def mark(name: str, bill: str) -> str:
    return MARKS[name].format(BILLS.index(bill))


def marked(step: Any) -> Any:
    """The same with marks for whatever it says of its bill."""
    if isinstance(step, Disposition) and step.bill_of_lading is not None:
        bill = f"{step.scac}{step.bill_of_lading}"
        shipment = step.shipment._replace(
            manifest_sequence_number=mark("manifest_sequence_number", bill),
            container_numbers=(*step.shipment.container_numbers, mark("container", bill)),
        )
        return step._replace(
            entry_number=step.entry_number and mark("entry_number", bill),
            remarks=step.remarks and mark("remarks", bill),
            firms=mark("firms", bill),
            shipment=shipment,
        )
    if isinstance(step, Filing):
        bill = f"{step.scac}{step.bill_of_lading}"
        boxes = (*step.shipment.container_numbers, mark("container", bill))
        sequence_number = mark("manifest_sequence_number", bill)
        shipment = step.shipment._replace(container_numbers=boxes, manifest_sequence_number=sequence_number)
        return step._replace(shipment=shipment)
    if isinstance(step, PaperBill):
        return step._replace(filing=marked(step.filing))
    if isinstance(step, ManualEvent):
        name = mark("people", f"{step.scac}{step.bill_of_lading}")
        return step._replace(by=name, source=name, ticket=name)
    return step


@st.composite
def marked_stories(draw: st.DrawFn) -> Story:
    story = draw(stories.stories())
    return Story([marked(step) for step in story.steps], story.random)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(marked_stories())
def test_no_notice_holds_what_its_recipient_may_not_see(story: Story) -> None:
    harness = Harness(2, now=START)
    live_through(story, harness)
    named = Named(story)
    for record in harness.party_records():
        assert record.value is not None
        notice = decoded(record)
        letter = Letter(record.key.decode(), record.topic.removeprefix(topics.PARTY_PREFIX), notice, record.value)
        letter.is_made_out_to_whom_it_went()
        letter.has_no_mark_that_it_may_not_have()
        letter.names_no_bill_that_it_may_not_name()
        letter.says_nothing_of_what_stopped_a_shared_container()
        named.allow(letter)
        for hold in notice["holds"]:
            other = hold["because_of"]
            assert other is None or named.has_a_ground(letter.recipient, other), f"{letter.recipient} sees {other}"


@dataclass
class Letter:
    """A notice as it lies in a topic."""

    bill: str
    recipient: str
    notice: dict[str, Any]
    value: bytes

    @property
    def roles(self) -> set[str]:
        return set(self.notice["roles"])

    @property
    def text(self) -> str:
        return self.value.decode("latin-1")

    def is_made_out_to_whom_it_went(self) -> None:
        assert self.notice["recipient"] == self.recipient
        assert self.roles

    def has_no_mark_that_it_may_not_have(self) -> None:
        for name, pattern in MARKS.items():
            for bill in BILLS:
                if pattern.format(BILLS.index(bill)) in self.text:
                    assert bill == self.bill, f"{name} of {bill} in a notice of {self.bill}"
                    assert SHOWN_TO[name] & self.roles, f"{name} shown to {self.roles}"
        assert stories.SECRET_CALLER not in self.text
        assert "garbage" not in self.text
        for name, roles in SHOWN_TO.items() if not self.bill.startswith(OUTAGE) else ():
            assert roles & self.roles or not self.notice.get(name), f"{name} shown to {self.roles}"
        if self.notice["cause"] == NO_LONGER_NOTIFIED:
            assert not {name for name, value in self.notice.items() if value} - FAREWELL_SAYS

    def names_no_bill_that_it_may_not_name(self) -> None:
        """Its master, the bill that it was split from and the bills behind its holds have fields of their own; who may
        see those may see them."""
        text = self.text
        for hold in self.notice["holds"]:
            text = text.replace(hold["because_of"] or "\0never", "")
        for name in ("master_bill", "original_bill"):
            text = text.replace(self.notice[name] or "\0never", "")
        assert not [other for other in BILLS if other != self.bill and other[4:] in text]

    def says_nothing_of_what_stopped_a_shared_container(self) -> None:
        for hold in self.notice["holds"]:
            if hold["kind"] in ("BOX", "HOUSE"):
                assert (hold["code"], hold["quantity"]) == (None, None)
                assert hold["meaning"] in (
                    "the container must not be loaded",
                    "the container is stopped",
                    "a house bill under this master is held",
                    "a house bill under this master must not be loaded",
                )


class Named:
    """Who was ever named for which bill, and what agreements ever granted: nobody else may hear of it."""

    def __init__(self, story: Story) -> None:
        self._named: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._scopes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._heard: set[tuple[str, str]] = set()
        for bill in BILLS:
            self._named[bill, FILER] = {bill[:4]}
        for step in story.steps:
            if isinstance(step, Sailing):
                for line in step.lines:
                    self._scopes[line.role.upper(), line.scac].add(line.scope)
            filing = step.filing if isinstance(step, PaperBill) else step
            if isinstance(filing, Disposition | Filing):
                bill = f"{filing.scac}{filing.bill_of_lading}"
                self._named[bill, SNP] |= {snp.removeprefix("2:") for snp in filing.snps}
                carriers = {filing.shipment.carrier_scac or "", (filing.shipment.master_bill or "")[:4]} - {""}
                self._named[bill, MASTER_CARRIER] |= carriers
        for step in story.steps:
            if isinstance(step, Outage):
                named = [bill for bill in BILLS if self._names(bill, step.carrier)]
                self._named[OUTAGE + step.id, FILER] |= {bill[:4] for bill in named}

    def _names(self, bill: str, line: str | None) -> bool:
        return line in self._named[bill, SNP] | self._named[bill, MASTER_CARRIER]

    def has_a_ground(self, party: str, bill: str) -> bool:
        """True if the party was ever named on the bill, or granted more than its own bills aboard."""
        granted = any(self._scopes[role, party] - {"own"} for role in (OPERATOR, CHARTERER))
        return granted or any(party in self._named[bill, role] for role in (FILER, SNP, MASTER_CARRIER))

    def allow(self, letter: Letter) -> None:
        for role in letter.roles:
            if role == FILER and letter.bill.startswith(OUTAGE):
                assert letter.recipient in {bill[:4] for bill in BILLS}
            elif role in (OPERATOR, CHARTERER):
                self._allow_by_agreement(letter, role)
            else:
                told = self._named[letter.bill, FILER if role == CO_LOADER else role]
                assert letter.recipient in told, f"{letter.recipient} is no {role} of {letter.bill}"

    def _allow_by_agreement(self, letter: Letter, role: str) -> None:
        """A grant of less than all begins with what it grants."""
        scopes = self._scopes[role, letter.recipient]
        assert scopes, f"{letter.recipient} is no {role} aboard"
        if letter.roles - {role}:  # its own bill
            return
        first = (letter.bill, letter.recipient) not in self._heard
        self._heard.add((letter.bill, letter.recipient))
        is_own = letter.recipient in {*self._named[letter.bill, SNP], *self._named[letter.bill, MASTER_CARRIER]}
        if not first or is_own or "all" in scopes or letter.notice["status"] is None:
            return
        assert scopes != {"own"}, f"{letter.recipient} was granted only its own bills"
        stands = letter.notice["do_not_load"] or (letter.notice["holds"] and "holds" in scopes)
        assert stands, f"{letter.recipient} was granted {scopes} and heard of {letter.notice['status']}"


def test_every_field_has_its_place_and_those_not_for_all_are_tried_here() -> None:
    shown = [name for view in Disclosure for name in SHOWN[view]]
    assert sorted(shown) == sorted(SHARED)
    by_role = [name for view in Disclosure for name in SHOWN[view] if view < Disclosure.AGREEMENT]
    assert set(by_role) <= SHOWN_TO.keys()  # AGREEMENT's own fields are hidden by the sailing, not by a role


def test_the_marks_would_be_found() -> None:
    """The property could fail: each mark does reach someone who may see it."""
    harness = Harness(1, now=START)
    bill = HOUSE
    disposition = event("1H", bill=bill, entry_type="01", entry_number=mark("entry_number", bill),
                        remarks=mark("remarks", bill), master_bill=MASTER)  # fmt: skip
    live_through(Story([*map(Party, SCACS), marked(disposition)], Random(0)), harness, trouble=False)
    (notice,) = harness.party_records()[:1]
    text = (notice.value or b"").decode("latin-1")
    for name in ("entry_number", "firms", "manifest_sequence_number", "container"):
        assert mark(name, bill) in text

"""Parties and sailings as a task sees them at its place in `snp.registry`.

Sailings are found by IMO number, manifest carrier and that carrier's own voyage number. CAMIR cuts voyage numbers to
five places (M01 35-39), so also by the cut form, if exactly one sailing of that vessel around the arrival date fits.

What a decision sees besides state and record.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, assert_never

from router.decide.outages import Outages, with_outage, with_tally
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Record
from router.model.eastern import DAY, MINUTE, day_of
from router.model.registry_values import (
    SILENT,
    FeedActivity,
    LateTally,
    Line,
    Outage,
    Party,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
    Sailing,
)
from router.task.input_records import registry_value

CAMIR_VOYAGE_WIDTH: Final = 5
SAME_ROTATION_DAYS: Final = 30
"""A voyage number comes back after a year; a rotation's dates of arrival in two messages differ by days."""
CAMIR_NAME_WIDTH: Final = 23
MOST_ELAPSED: Final = 60 * MINUTE
"""So much time can have gone by between two ticks, whatever they say: a clock that is a year ahead for a minute must
not make every bill a year older, nor may two machines that tick in turn, by clocks that differ. While no router runs,
no more of it goes by either."""


class Registry:
    """Mutable, owned by one task; everything it holds is frozen."""

    def __init__(self) -> None:
        self.parties: dict[str, Party] = {}
        self.sailings: dict[str, Sailing] = {}
        self.missing_topics: set[str] = set()
        self.epoch = 0
        """Place in the registry behind the latest change of parties, sailings or destinations."""
        self.now = 0
        """Time of the latest tick, UTC milliseconds: what is written down beside what is said."""
        self.elapsed = 0
        """The time by which decisions tell how long something has been quiet: that of the first tick, and what has gone
        by between ticks since. Never goes back; see `MOST_ELAPSED`. UTC milliseconds."""
        self.secret = b""
        self.outages: Outages = {}
        """Those that last, and those a feed recovers from."""
        self.silences: dict[tuple[str | None, str | None], str] = {}
        """Of each feed and port the last time it was silent, over or not: the outage's id."""
        self.heard: dict[tuple[str, str | None], int] = {}
        """When a feed last brought something for a port, UTC milliseconds."""
        self.asked: dict[str, int] = {}
        """When a party's own request was last taken up, UTC milliseconds."""
        self.audiences: dict[Any, Any] = {}
        """What `audience_of` worked out, until the registry changes."""
        self.damaged: dict[bytes, str] = {}
        """Records that nobody can go by, by key, until they are written again: where each lies, and what is wrong."""
        self._audience_weight = 0
        self._scacs: dict[str, str] = {}
        self._claimed: dict[str, set[str]] = {}
        """Aliases to the parties that have them."""
        self._by_voyage: dict[tuple[str, str, str], set[str]] = {}
        """(IMO number, SCAC of a line, first five places of its voyage) to ids of sailings."""
        self._vessels: dict[str, str] = {}

    def take(self, record: Record) -> RegistryValue | None:
        """Apply a record as it was read, and give what it says. One that nobody can go by is passed over."""
        self.damaged.pop(record.key, None)
        try:
            value = registry_value(record)
        except InputError as error:
            self.damaged[record.key] = str(error)
            return None
        if value is not None:
            self.apply(value, record.offset)
        return value

    def apply(self, value: RegistryValue, offset: int = 0) -> None:
        """`offset` is the record's in the registry: an epoch is a place, not a count, since compaction drops notes."""
        if _may_change_audiences(value):
            self._forget_audiences()
        match value:
            case Party():
                self._take_party(value)
            case Sailing():
                self._take_sailing(value)
            case RegistryNote():
                self._note(value, offset)
            case Outage():
                self.outages = with_outage(self.outages, value, self.elapsed)
                self.remember(value)
            case FeedActivity():
                self.heard[value.feed, value.port] = value.at
            case LateTally():
                self.outages = with_tally(self.outages, value._replace(at=min(value.at, self.now + DAY)))
            case Request() | RequestDone():
                pass  # what a task does about them is its own (resync.py)
            case _:
                assert_never(value)

    def keep_audience(self, alike: Any, audience: Any, weight: int, most: int) -> None:
        """Until the registry changes, or all that are kept weigh more than `most`."""
        self._audience_weight += weight
        if self._audience_weight > most:
            self._forget_audiences()
        self.audiences[alike] = audience

    def _forget_audiences(self) -> None:
        self.audiences.clear()
        self._audience_weight = 0

    def remember(self, outage: Outage) -> None:
        """That a feed was silent, so that it is not noticed twice."""
        if outage.kind == SILENT:
            self.silences[outage.feed, outage.port] = outage.id

    def _note(self, note: RegistryNote, offset: int) -> None:
        if note.kind in ("epoch", "missing", "back"):
            self.epoch = max(self.epoch, offset + 1)
        if note.kind == "tick":
            self._tick(note.at)
        elif note.kind == "installation" and not self.secret:
            self.secret = bytes.fromhex(note.detail or "")
        elif note.kind == "asked":
            self.asked[note.key] = note.at
        elif note.kind == "missing":
            self.missing_topics.add(note.key)
        elif note.kind == "back":
            self.missing_topics.discard(note.key)

    def _tick(self, at: int) -> None:
        self.elapsed = self.elapsed + min(max(at - self.now, 0), MOST_ELAPSED) if self.elapsed else at
        self.now = at

    def _take_party(self, party: Party) -> None:
        old = self.parties.get(party.scac)
        for alias in old.aliases if old is not None else ():
            self._claimed[alias].discard(party.scac)
        self.parties[party.scac] = party
        for alias in party.aliases:
            self._claimed.setdefault(alias, set()).add(party.scac)
        for scac in {party.scac, *party.aliases, *(old.aliases if old is not None else ())}:
            self._settle_claim(scac)

    def _settle_claim(self, scac: str) -> None:
        """Whose it is, whichever party came first: the party's that has it as its own, unless that is external; else
        that of the one party that has it as an alias. Of several none: nobody is to read what another should."""
        own, claimed = self.parties.get(scac), self._claimed.get(scac, set())
        if (own is not None and own.status != "external") or (own is not None and not claimed):
            self._scacs[scac] = scac
        elif len(claimed) == 1:
            (self._scacs[scac],) = claimed
        else:
            self._scacs.pop(scac, None)

    def _take_sailing(self, sailing: Sailing) -> None:
        self._drop_sailing(sailing.sailing_id)
        self.sailings[sailing.sailing_id] = sailing
        for line in sailing.lines:
            self._by_voyage.setdefault((sailing.imo_number, line.scac, _cut(line)), set()).add(sailing.sailing_id)
        if sailing.vessel_name:
            self._vessels[sailing.imo_number] = sailing.vessel_name

    def _drop_sailing(self, sailing_id: str) -> None:
        old = self.sailings.pop(sailing_id, None)
        if old is not None:
            for line in old.lines:
                self._by_voyage[old.imo_number, line.scac, _cut(line)].discard(sailing_id)

    def party(self, scac: str) -> Party | None:
        """The party behind a SCAC, which may be an alias."""
        return self.parties.get(self._scacs.get(scac, ""))

    def party_scac(self, scac: str) -> str:
        """The SCAC of the party behind a SCAC; itself where the party isn't registered."""
        return self._scacs.get(scac, scac)

    def vessel_name(self, imo_number: str) -> str | None:
        return self._vessels.get(imo_number)

    def sailing(
        self, imo_number: str | None, carrier: str | None, voyage: str | None, arrival_date: str | None
    ) -> Sailing | None:
        """The one sailing meant, or None where there is none or more than one."""
        if imo_number is None or carrier is None or voyage is None:
            return None
        candidates = [
            (self.sailings[sailing_id], line)
            for sailing_id in sorted(self._ids(imo_number, carrier, voyage))
            for line in self.sailings[sailing_id].lines
            if self.party_scac(line.scac) == self.party_scac(carrier) and line.voyage_number
        ]
        exact = [sailing for sailing, line in candidates if line.voyage_number == voyage]
        if exact:
            return _around(exact, arrival_date)
        if len(voyage) != CAMIR_VOYAGE_WIDTH:
            return None
        return _around([sailing for sailing, line in candidates if _cut(line) == voyage], arrival_date)

    def _ids(self, imo_number: str, carrier: str, voyage: str) -> set[str]:
        party = self.party(carrier)
        names = {carrier} if party is None else {carrier, party.scac, *party.aliases}
        return set().union(
            *(self._by_voyage.get((imo_number, name, voyage[:CAMIR_VOYAGE_WIDTH]), set()) for name in names)
        )


def _may_change_audiences(value: RegistryValue) -> bool:
    """All but what is known not to: an audience that is out of date tells the wrong parties."""
    if isinstance(value, RegistryNote):
        return value.kind != "tick"
    return not isinstance(value, Outage | FeedActivity | LateTally | Request | RequestDone)


def _cut(line: Line) -> str:
    return (line.voyage_number or "")[:CAMIR_VOYAGE_WIDTH]


def _around(sailings: list[Sailing], arrival_date: str | None) -> Sailing | None:
    """The only one whose arrival is near the date; one without a date on either side counts as near."""
    unique = {sailing.sailing_id: sailing for sailing in sailings}
    fitting = [sailing for sailing in unique.values() if near(sailing.arrival_date, arrival_date, SAME_ROTATION_DAYS)]
    return fitting[0] if len(fitting) == 1 else None


def near(one: str | None, other: str | None, days: int) -> bool:
    """Whether two dates are at most so many days apart; an unknown one, or what is no date, is near."""
    first, second = day_of(one or ""), day_of(other or "")
    return first is None or second is None or abs((first - second).days) <= days


def same_name(one: str, other: str) -> bool:
    """Whether two spellings name the same vessel: blanks and CAMIR's cut at 23 places apart."""
    if one == other:
        return True
    first, second = " ".join(one.upper().split()), " ".join(other.upper().split())
    return first == second or first[:CAMIR_NAME_WIDTH].strip() == second[:CAMIR_NAME_WIDTH].strip()


class Context(NamedTuple):
    registry: Registry
    rules: Rules

"""Parties, sailings and outages as a task sees them at its place in `snp.registry`.

A sailing is found by IMO number, manifest carrier and that carrier's own voyage number. CAMIR cuts voyage numbers to
five places (M01 35-39); the cut form finds a sailing if exactly one of that vessel around the arrival date fits.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple, assert_never

from router.decide.outages import Outages, with_filers, with_outage, with_tally
from router.decide.rules import Rules, rules_of
from router.model.eastern import DAY, MINUTE, day_of
from router.model.party_ids import IdType, named_party
from router.model.registry_values import (
    SILENT,
    FeedActivity,
    LateTally,
    Line,
    Outage,
    OutageFilers,
    Party,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
    RulesRecord,
    Sailing,
)

CAMIR_VOYAGE_WIDTH: Final = 5
SAME_ROTATION_DAYS: Final = 30
"""Two messages' arrival dates of one rotation differ by days; a voyage number returns after a year."""
CAMIR_NAME_WIDTH: Final = 23
MOST_ELAPSED: Final = 60 * MINUTE
"""Most time that counts as passed between two ticks. A clock that is a year ahead for a minute must not age every bill
by a year, nor must two machines with different clocks that tick in turn. A stopped router ages no bill."""


class Registry:
    """Mutable, owned by one task; everything it holds is frozen."""

    def __init__(self) -> None:
        self.parties: dict[str, Party] = {}
        self.sailings: dict[str, Sailing] = {}
        self.missing_topics: set[str] = set()
        self.epoch = 0
        """Place in the registry behind the latest change of parties, sailings or destinations."""
        self.now = 0
        """Time of the latest tick, UTC milliseconds; the date of what is written."""
        self.elapsed = 0
        """The first tick's time plus the time passed between ticks since, by which decisions measure quiet. It never
        goes back; see `MOST_ELAPSED`. UTC milliseconds."""
        self.secret = b""
        self.rules: Rules | None = None
        """The rules in force; None before the first router has written its own."""
        self.rules_records: tuple[RulesRecord, ...] = ()
        """The records of all rules, from number 1."""
        self.outages: Outages = {}
        """Outages that last, or from which a feed recovers."""
        self.silences: dict[tuple[str | None, str | None], str] = {}
        """Id of the latest silence of each feed and port, over or not."""
        self.feed_activity: dict[tuple[str, str | None], int] = {}
        """Time of the latest input of each feed and port, UTC milliseconds."""
        self.requested: dict[str, int] = {}
        """Time of each party's latest accepted request, UTC milliseconds."""
        self.audiences: dict[Any, Any] = {}
        """Cache of `audience_of`, until the registry changes."""
        self.damaged: dict[bytes, str] = {}
        """Invalid records by key, with place and fault, until they are written again."""
        self._kept_recipients = 0
        self._owners: dict[str, tuple[str, IdType]] = {}
        """Ids, aliases included, with the id of their party and their type."""
        self._claimed: dict[str, dict[str, IdType]] = {}
        """Aliases, with the parties that claim them, and as what."""
        self._by_voyage: dict[tuple[str, str, str], set[str]] = {}
        """Ids of sailings by IMO number, SCAC of a line, and first five places of its voyage number."""
        self._lines: Counter[str] = Counter()
        """Number of sailings by SCAC of a line aboard."""
        self._vessels: dict[str, str] = {}

    def apply(self, value: RegistryValue, offset: int = 0) -> None:
        """Apply a value. `offset` is its record's place: an epoch is a place, not a count, since compaction drops
        notes."""
        if _may_change_audiences(value):
            self._forget_audiences()
        match value:
            case Party():
                self._apply_party(value)
            case Sailing():
                self._apply_sailing(value)
            case RegistryNote():
                self._apply_note(value, offset)
            case Outage():
                self.outages = with_outage(self.outages, value, self.elapsed)
                self.remember_silence(value)
            case FeedActivity():
                self.feed_activity[value.feed, value.port] = value.at
            case LateTally():
                self.outages = with_tally(self.outages, value._replace(at=min(value.at, self.now + DAY)))
            case OutageFilers():
                self.outages = with_filers(self.outages, value)
            case RulesRecord():
                self._apply_rules(value)
            case Request() | RequestDone():
                pass  # router/task/walks.py acts on them
            case _:
                assert_never(value)

    def keep_audience(self, key: Any, audience: Any, recipients: int, most: int) -> None:
        """Cache an audience until the registry changes, or all that are kept have more than `most` recipients."""
        self._kept_recipients += recipients
        if self._kept_recipients > most:
            self._forget_audiences()
        self.audiences[key] = audience

    def _forget_audiences(self) -> None:
        self.audiences.clear()
        self._kept_recipients = 0

    def remember_silence(self, outage: Outage) -> None:
        """Remember a feed's silence, so that it is not declared twice."""
        if outage.kind == SILENT:
            self.silences[outage.feed, outage.port] = outage.id

    def _apply_note(self, note: RegistryNote, offset: int) -> None:
        if note.kind in ("epoch", "missing", "back"):
            self.epoch = max(self.epoch, offset + 1)
        if note.kind == "tick":
            self._tick(note.at)
        elif note.kind == "installation" and not self.secret:
            self.secret = bytes.fromhex(note.detail or "")
        elif note.kind == "requested":
            self.requested[note.key] = note.at
        elif note.kind == "missing":
            self.missing_topics.add(note.key)
        elif note.kind == "back":
            self.missing_topics.discard(note.key)

    def _apply_rules(self, record: RulesRecord) -> None:
        """Raises FatalLogError for rules that this version of the router can't follow."""
        if record.number == len(self.rules_records) + 1:
            self.rules = rules_of(record.settings, self.rules)
            self.rules_records = (*self.rules_records, record)

    def _tick(self, at: int) -> None:
        self.elapsed = self.elapsed + min(max(at - self.now, 0), MOST_ELAPSED) if self.elapsed else at
        self.now = at

    def _apply_party(self, party: Party) -> None:
        old = self.parties.get(party.id)
        before = [named_party(alias).id for alias in old.aliases] if old is not None else []
        for alias in before:
            self._claimed[alias].pop(party.id, None)
        self.parties[party.id] = party
        aliases = {named.id: named.types for named in map(named_party, party.aliases)}
        for alias, types in aliases.items():
            self._claimed.setdefault(alias, {})[party.id] = types[0]
        for name in {party.id, *aliases, *before}:
            self._assign_id(name)

    def _assign_id(self, name: str) -> None:
        """Assign an id, whichever party came first: to the party whose own it is, unless that is external; otherwise to
        the only party with that alias. If several claim it, nobody gets it, so that nobody reads another's notices."""
        own, claimed = self.parties.get(name), self._claimed.get(name, {})
        if own is not None and (own.status != "external" or not claimed):
            self._owners[name] = name, own.id_type
        elif len(claimed) == 1:
            (self._owners[name],) = claimed.items()
        else:
            self._owners.pop(name, None)

    def _apply_sailing(self, sailing: Sailing) -> None:
        self._drop_sailing(sailing.sailing_id)
        self.sailings[sailing.sailing_id] = sailing
        self._lines.update(line.scac for line in sailing.lines)
        for line in sailing.lines:
            self._by_voyage.setdefault((sailing.imo_number, line.scac, _cut(line)), set()).add(sailing.sailing_id)
        if sailing.vessel_name:
            self._vessels[sailing.imo_number] = sailing.vessel_name

    def _drop_sailing(self, sailing_id: str) -> None:
        old = self.sailings.pop(sailing_id, None)
        if old is not None:
            self._lines.subtract(line.scac for line in old.lines)
            for line in old.lines:
                self._by_voyage[old.imo_number, line.scac, _cut(line)].discard(sailing_id)

    def party(self, name: str) -> Party | None:
        """The party of an id, which may be an alias, with or without its type."""
        return self.parties.get(self.snp_party_id(name))

    def reachable_party(self, party_id: str) -> Party | None:
        """The party with this id of its own, if it is live and its topic exists."""
        party = self.parties.get(party_id)
        is_reachable = party is not None and party.status == "live" and party.topic not in self.missing_topics
        return party if is_reachable else None

    def party_id(self, scac: str) -> str:
        """Id of the party of a SCAC; the SCAC itself if its party isn't registered."""
        return self._party_id(scac, ("SCAC",), scac)

    def snp_party_id(self, snp: str) -> str:
        """Id of the party that a second notify party's id means, with or without its type; the spelling under which it
        waits if its party isn't registered."""
        return self._party_id(*named_party(snp))

    def _party_id(self, name: str, types: tuple[IdType, ...], unregistered: str) -> str:
        party_id, id_type = self._owners.get(name, (unregistered, None))
        if id_type is None or id_type in types:
            return party_id
        return f"{types[0]}:{name}" if types else unregistered  # the same id, of another kind of party

    def is_line(self, party_id: str) -> bool:
        """True for a party with vessels or slots: aboard any registered sailing under one of its SCACs."""
        return any(self._lines[name] for name in self._names(party_id))

    def _names(self, party_id: str) -> tuple[str, ...]:
        """The party's id and aliases; of an unregistered party the id."""
        party = self.parties.get(party_id)
        return (party_id,) if party is None else (party.id, *party.aliases)

    def vessel_name(self, imo_number: str) -> str | None:
        return self._vessels.get(imo_number)

    def sailing(
        self, imo_number: str | None, carrier: str | None, voyage: str | None, arrival_date: str | None
    ) -> Sailing | None:
        """The one sailing that fits, or None if there is none or more than one."""
        if imo_number is None or carrier is None or voyage is None:
            return None
        candidates = [
            (self.sailings[sailing_id], line)
            for sailing_id in sorted(self._ids(imo_number, carrier, voyage))
            for line in self.sailings[sailing_id].lines
            if self.party_id(line.scac) == self.party_id(carrier) and line.voyage_number
        ]
        exact = [sailing for sailing, line in candidates if line.voyage_number == voyage]
        if exact:
            return _around(exact, arrival_date)
        if len(voyage) != CAMIR_VOYAGE_WIDTH:
            return None
        return _around([sailing for sailing, line in candidates if _cut(line) == voyage], arrival_date)

    def _ids(self, imo_number: str, carrier: str, voyage: str) -> set[str]:
        names = {carrier, *self._names(self.party_id(carrier))}
        return set().union(
            *(self._by_voyage.get((imo_number, name, voyage[:CAMIR_VOYAGE_WIDTH]), set()) for name in names)
        )


def _may_change_audiences(value: RegistryValue) -> bool:
    """True unless the value certainly changes no audience: an outdated audience notifies the wrong parties."""
    if isinstance(value, RegistryNote):
        return value.kind != "tick"
    certainly_none = Outage | FeedActivity | LateTally | OutageFilers | Request | RequestDone | RulesRecord
    return not isinstance(value, certainly_none)


def _cut(line: Line) -> str:
    return (line.voyage_number or "")[:CAMIR_VOYAGE_WIDTH]


def _around(sailings: list[Sailing], arrival_date: str | None) -> Sailing | None:
    """The only sailing whose arrival is near the date. An unknown date is near any other."""
    unique = {sailing.sailing_id: sailing for sailing in sailings}
    fitting = [sailing for sailing in unique.values() if near(sailing.arrival_date, arrival_date, SAME_ROTATION_DAYS)]
    return fitting[0] if len(fitting) == 1 else None


def near(one: str | None, other: str | None, days: int) -> bool:
    """True if two dates are at most `days` apart, or one is unknown or invalid."""
    first, second = day_of(one or ""), day_of(other or "")
    return first is None or second is None or abs((first - second).days) <= days


def same_name(one: str, other: str) -> bool:
    """True if two spellings name the same vessel, but for blanks and CAMIR's cut at 23 places."""
    if one == other:
        return True
    first, second = " ".join(one.upper().split()), " ".join(other.upper().split())
    return first == second or first[:CAMIR_NAME_WIDTH].strip() == second[:CAMIR_NAME_WIDTH].strip()


class Context(NamedTuple):
    """Everything that a decision sees besides state and record."""

    registry: Registry
    rules: Rules

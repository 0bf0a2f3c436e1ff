"""Parties, sailings and outages as a task sees them at its place in `snp.registry`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, assert_never

from router.decide.outages import Outages, with_filers, with_outage, with_tally
from router.decide.roster import Roster
from router.decide.rules import Rules, rules_of
from router.model.eastern import DAY, MINUTE, eastern_day
from router.model.party_ids import IdType, named_party
from router.model.registry_values import (
    SILENT,
    FeedActivity,
    LateTally,
    LostInput,
    Outage,
    OutageFilers,
    Party,
    PortProcedure,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
    RulesRecord,
    Sailing,
)

MOST_ELAPSED: Final = 60 * MINUTE
"""Most time that counts as passed between two ticks. A clock that is a year ahead for a minute must not age every bill
by a year, nor must two machines with different clocks that tick in turn. A stopped router ages no bill."""


class Registry:
    """Mutable, owned by one task; everything it holds is frozen."""

    def __init__(self) -> None:
        self.parties: dict[str, Party] = {}
        self.roster = Roster(self.party_id)
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
        self.lost: tuple[LostInput, ...] = ()
        """Losses of this task's input from which it has gone on; part of its position."""
        self.judged: dict[str, LostInput] = {}
        """All losses that an operator has judged, by id, of all tasks."""
        self.procedures: dict[str, PortProcedure] = {}
        """Procedures for outages, by port."""
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

    def apply(self, value: RegistryValue, offset: int = 0) -> None:
        """Apply a value. `offset` is its record's place: an epoch is a place, not a count, since compaction drops
        notes."""
        if _may_change_audiences(value):
            self._forget_audiences()
        match value:
            case Party():
                self._apply_party(value)
            case Sailing():
                self.roster.apply(value)
            case RegistryNote():
                self._apply_note(value, offset)
            case Outage():
                self.outages = with_outage(self.outages, value, self.elapsed)
                self.remember_silence(value)
            case PortProcedure():
                self.procedures[value.port] = value
            case FeedActivity():
                self.feed_activity[value.feed, value.port] = value.at
            case LateTally():
                self.outages = with_tally(self.outages, value._replace(at=min(value.at, self.now + DAY)))
            case OutageFilers():
                self.outages = with_filers(self.outages, value)
            case RulesRecord():
                self._apply_rules(value)
            case LostInput():
                self.judged[value.id] = value
                if value.of_index:
                    self.epoch = max(self.epoch, offset + 1)  # all bills state their facts again
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
        self.roster.forget_parties()

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
        party = self.parties.get(party_id)
        names = (party_id,) if party is None else (party.id, *party.aliases)
        return any(map(self.roster.has_line, names))

    @property
    def index_losses(self) -> int:
        """Judged losses of `snp.index`: after each, all bills state their facts again."""
        return sum(one.of_index for one in self.judged.values()) if self.judged else 0

    @property
    def today(self) -> str | None:
        """Eastern day of the latest tick; None before the first."""
        return eastern_day(self.now) if self.now else None


def _may_change_audiences(value: RegistryValue) -> bool:
    """True unless the value certainly changes no audience: an outdated audience notifies the wrong parties."""
    if isinstance(value, RegistryNote):
        return value.kind != "tick"
    certainly_none = (
        Outage
        | PortProcedure
        | FeedActivity
        | LateTally
        | OutageFilers
        | Request
        | RequestDone
        | RulesRecord
        | LostInput
    )
    return not isinstance(value, certainly_none)


class Context(NamedTuple):
    """Everything that a decision sees besides state and record."""

    registry: Registry
    rules: Rules

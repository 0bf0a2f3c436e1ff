"""Records of `snp.registry`, which every task reads in the same order: parties, sailings, outages, requests.

`registry_faults` checks a value that another program may have written. The router's commands write only valid ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, assert_never, get_args

from router.model.eastern import day_of
from router.model.identifiers import is_valid_port, is_valid_scac, outage_key
from router.model.party_ids import IdType, is_valid_id, named_party

LineRole = Literal["operator", "charterer"]

Scope = Literal["own", "do-not-load", "holds", "all"]
"""Bills that an agreement lets a line see beyond its own."""

Mode = Literal["ocean", "rail", "truck", "air", "all"]
"""Mode of transport whose messages an outage stops."""

PARTY_STATUSES: Final = ("certifying", "live", "suspended", "external")
LINE_ROLES: Final[tuple[str, ...]] = get_args(LineRole)
SCOPES: Final[tuple[str, ...]] = get_args(Scope)

MOST_ALIASES: Final = 100
"""Other ids of one party. The largest groups of carriers have some dozens."""
SAME_ROTATION_DAYS: Final = 14
"""Most days between an arrival and the next call of one rotation. Ships slip by a week, and call at several ports; a
voyage number returns after three weeks at the earliest."""
MOST_CALLS: Final = 100
"""Port calls of one sailing. A rotation has a dozen."""
LONGEST_PROCEDURE: Final = 400
"""Characters. The procedures of all ports together fit into one announcement."""
LONGEST_TELEPHONE: Final = 60
MOST_LINES: Final = 500
"""Lines aboard one sailing. Vessels are shared by some dozens."""


class Party(NamedTuple):
    """A recipient of notices. Several ids may belong to one party (`aliases`), which has one topic."""

    id: str
    """A SCAC, a FIRMS code or an ABI routing code, unique across these types. It names topic, user and groups."""
    name: str | None = None
    roles: tuple[str, ...] = ()
    status: str = "live"
    """`certifying`, `live`, `suspended` or `external` (it will never subscribe)."""
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None
    aliases: tuple[str, ...] = ()
    """Its other ids: `id`, or `type:id`. Without a type, four letters are a SCAC."""
    production_group: str | None = None
    """Consumer group whose committed offsets show which notices it has read."""
    webhook_url: str | None = None
    """Destination of its notices if it has no Kafka."""
    id_type: IdType = "SCAC"

    @property
    def topic(self) -> str:
        return party_topic(self.id)

    @property
    def user(self) -> str:
        """Its user name on the brokers."""
        return f"snp.{self.id}"

    @property
    def group_prefix(self) -> str:
        """Prefix of its consumer groups. The dot at the end keeps `snp.NVX` out of the groups of `snp.NVXA`."""
        return f"{self.user}."


class Line(NamedTuple):
    """One line aboard a sailing."""

    scac: str
    role: LineRole
    voyage_number: str | None
    """That line's own."""
    scope: Scope


class PortCall(NamedTuple):
    """One call at a U.S. port."""

    port: str | None = None
    """Schedule D; None: unknown."""
    arrival_date: str | None = None


def merged_calls(calls: Iterable[PortCall]) -> tuple[PortCall, ...]:
    """Calls by date, those without one last. One that says nothing beyond another is left out."""
    known = set(calls)
    ports = {call.port for call in known if call.arrival_date}
    dates = {call.arrival_date for call in known if call.port}
    saying = (
        call
        for call in known
        if (call.port or call.arrival_date not in dates) and (call.arrival_date or call.port not in ports)
    )
    return tuple(sorted(saying, key=lambda call: (call.arrival_date or "~", call.port or "")))


class Sailing(NamedTuple):
    """One vessel on one rotation, with every line aboard, or an imported record of some of its port calls.

    An import replaces a record whole. `router/decide/roster.py` merges the records of one rotation.
    """

    sailing_id: str
    imo_number: str
    vessel_name: str | None
    calls: tuple[PortCall, ...]
    """By date; empty: unknown."""
    lines: tuple[Line, ...]
    first_lading_date: str | None = None
    """Day on which lading for the United States began."""

    @property
    def dates(self) -> tuple[str, ...]:
        """Arrival dates that are known, one of each, the earliest first."""
        return tuple(
            sorted({call.arrival_date for call in self.calls if call.arrival_date and day_of(call.arrival_date)})
        )

    @property
    def arrival_date(self) -> str | None:
        """The first call's."""
        return min(self.dates, default=None)

    @property
    def last_arrival_date(self) -> str | None:
        return max(self.dates, default=None)

    @property
    def ports(self) -> tuple[str, ...]:
        """U.S. ports of call that are known, in the order of the calls."""
        return tuple(dict.fromkeys(call.port for call in self.calls if call.port))


class RegistryNote(NamedTuple):
    """A small registry record. Its `kind` is one of:

    - `epoch`: an import is complete, so audiences are to be computed again;
    - `tick`: `at` is the time now, the only clock that decisions see;
    - `installation`: `detail` is the secret that keys ids, in hex; the first one counts;
    - `missing`, `back`: the topic `key` can't, or can again, be written to;
    - `requested`: a request of the party `key` was accepted.
    """

    kind: str
    key: str
    at: int
    detail: str | None = None


DECLARED, SILENT = "DECLARED", "SILENT"
RESYNC: Final = "RESYNC"


class Outage(NamedTuple):
    """One downtime of a system. It is written again when it changes or ends, and kept as history.

    `carrier` None: an outage of CBP or of a port. Otherwise that line's own, announced only to the parties of its
    sailings and to the filers of open bills that name it.
    """

    id: str
    kind: str
    """`DECLARED` by an operator, or a feed that is `SILENT`."""
    began_at: int
    mode: Mode = "all"
    feed: str | None = None
    port: str | None = None
    """Schedule D; None: all ports."""
    carrier: str | None = None
    reason: str | None = None
    """Shown to the parties."""
    ticket: str | None = None
    """CBP's number, shown to the parties."""
    declared_by: str | None = None
    """Never shown to parties, like `ended_by`."""
    until: int | None = None
    """Expected return."""
    ended_at: int | None = None
    ended_by: str | None = None

    @property
    def stops_ocean(self) -> bool:
        """True if messages about ocean cargo, the only ones that the router reads, are missing or late."""
        return self.mode in ("ocean", "all")


class PortProcedure(NamedTuple):
    """A port's own procedure for an outage, in words for those who follow it: each port handles it differently."""

    port: str
    """Schedule D."""
    procedure: str
    telephone: str | None = None


class FeedActivity(NamedTuple):
    """Time of a feed's latest input for a port (None: any port)."""

    feed: str
    port: str | None
    at: int


class LateTally(NamedTuple):
    """Late events of an outage in one run of a feed. Cumulative within the run: the latest record counts."""

    outage: str
    run: str
    events: int
    do_not_loads: int
    holds: int
    """Other holds and blocks."""
    oldest_posted: int | None
    """UTC milliseconds."""
    at: int
    """Time of the latest late event."""


class OutageFilers(NamedTuple):
    """One task's filers with open bills that name the line of an outage. Cumulative: the latest record counts."""

    outage: str
    task: int
    filers: tuple[str, ...]
    """SCACs, sorted."""
    at: int


class Request(NamedTuple):
    """A party's request. Its relay writes it with `started_at` None.

    The task of partition 0 writes it again with the time, which starts it in every task, or deletes it if another one
    of that party is running. It is deleted when all tasks are done.
    """

    id: str
    """Unique, made once by the sender."""
    kind: str
    """`RESYNC`: the status now of all its open bills."""
    scac: str
    """The party's id, of any type; named as in the published schema."""
    by: str
    """The operator, or the party itself."""
    at: int
    started_at: int | None = None


class RequestDone(NamedTuple):
    """One task's completion of a request."""

    request: str
    task: int
    tasks: int
    """Number of tasks."""
    at: int


class LostInput(NamedTuple):
    """Records of an input that were deleted before they were read, and an operator's judgement to go on without them.
    It holds for exactly this gap, once."""

    topic: str
    task: int
    begin: int
    """First offset that was not read."""
    end: int
    """First offset that was left; below `begin` if the topic was deleted and made again."""
    since: int | None
    """Time of the last record that was read before, UTC milliseconds. None: unknown."""
    until: int
    """Time of the first record left or, if none was left, of the judgement. UTC milliseconds."""
    at: int
    by: str
    reason: str
    of_index: bool = False
    """True for `snp.index`: facts of bills are lost, and all bills state theirs again. Otherwise events are lost that
    bills of the task may have had."""

    @property
    def id(self) -> str:
        return f"{self.topic}:{self.task}:{self.begin}:{self.end}:{self.at}"


class RulesRecord(NamedTuple):
    """One number of the rules that decide over cargo. All are kept: each event is judged by the rules under which it
    came."""

    number: int
    """From 1. Of two records with one number the first counts."""
    id: str
    """Unique, made once by the writer, so that compaction keeps both of two that are written at once."""
    settings: dict[str, Any]
    """Every setting by its name, see `router/decide/rules.py`."""
    at: int
    by: str
    reason: str


RegistryValue = (
    Party
    | Sailing
    | RegistryNote
    | Outage
    | PortProcedure
    | FeedActivity
    | LateTally
    | OutageFilers
    | Request
    | RequestDone
    | RulesRecord
    | LostInput
)
"""Every value of `snp.registry`."""


def registry_key(value: RegistryValue) -> bytes:
    """Key of a registry record, unique per kind and subject: the registry is compacted."""
    match value:
        case Party():
            key = f"party:{value.id}"
        case Sailing():
            key = f"sailing:{value.sailing_id}"
        case RegistryNote():
            key = f"{'destination' if value.kind in ('missing', 'back') else value.kind}:{value.key}"
        case Outage():
            key = outage_key(value.id)
        case PortProcedure():
            key = f"procedure:{value.port}"
        case FeedActivity():
            key = f"activity:{value.feed}:{value.port or ''}"
        case LateTally():
            key = f"late:{value.outage}:{value.run}"
        case OutageFilers():
            key = f"filers:{value.outage}:{value.task}"
        case Request():
            key = f"request:{value.id}"
        case RequestDone():
            key = f"done:{value.request}:{value.task}"
        case RulesRecord():
            key = f"rules:{value.number}:{value.id}"
        case LostInput():
            key = f"lost:{value.id}"
        case _:
            assert_never(value)
    return key.encode()


def party_topic(party_id: str) -> str:
    return f"snp.party.{party_id}"


def registry_faults(value: RegistryValue) -> Iterator[str]:
    """Faults of a value whose types are right but whose content is not."""
    match value:
        case Party():
            yield from _party_faults(value)
        case Sailing():
            yield from _sailing_faults(value)
        case PortProcedure():
            yield from _procedure_faults(value)
        case RegistryNote(kind="installation"):
            if not re.fullmatch(r"(?:[0-9a-f]{2})+", value.detail or ""):
                yield "the installation's secret is not a hexadecimal number"


def _party_faults(party: Party) -> Iterator[str]:
    """An id names a party's topics, user and groups; letters and digits alone keep those of different parties apart."""
    if not is_valid_id(party.id, party.id_type):
        yield f"{party.id[:100]!r} is not a party's id of the type {party.id_type}"
    for alias in party.aliases:
        if not named_party(alias).types:
            yield f"party {party.id}: {alias[:100]!r} is not an id, nor an id with its type"
    if len(party.aliases) > MOST_ALIASES:
        yield f"party {party.id} has {len(party.aliases):,} aliases, more than {MOST_ALIASES}"
    if party.status not in PARTY_STATUSES:
        yield f"party {party.id}: status {party.status[:100]!r} is none of {', '.join(PARTY_STATUSES)}"
    if fault := group_fault(party):
        yield f"party {party.id}: production_group {fault}"


def group_fault(party: Party) -> str | None:
    """The fault of its production group: the party may read with groups under its own prefix only."""
    group = party.production_group
    if group is None or group.startswith(party.group_prefix):
        return None
    return f"{group[:100]!r} does not begin with {party.group_prefix}, as this party's consumer groups must"


def _procedure_faults(value: PortProcedure) -> Iterator[str]:
    if not is_valid_port(value.port):
        yield f"{value.port[:100]!r} is not a port of Schedule D: four digits"
    if len(value.procedure) + len(value.telephone or "") > LONGEST_PROCEDURE + LONGEST_TELEPHONE:
        yield f"port {value.port[:100]}: its procedure is longer than {LONGEST_PROCEDURE} characters"


def _sailing_faults(sailing: Sailing) -> Iterator[str]:
    where = f"sailing {sailing.sailing_id[:100]}"
    if len(sailing.lines) > MOST_LINES:
        yield f"{where} has {len(sailing.lines):,} lines aboard, more than {MOST_LINES}"
    for line in sailing.lines:
        yield from (f"{where}, line {line.scac[:100]}: {fault}" for fault in _line_faults(line))
    if len(sailing.calls) > MOST_CALLS:
        yield f"{where} has {len(sailing.calls):,} port calls, more than {MOST_CALLS}"
    dates = {"arrival_date": [call.arrival_date for call in sailing.calls]}
    for column, values in (dates | {"first_lading_date": [sailing.first_lading_date]}).items():
        for value in values:
            if value is not None and day_of(value) is None:
                yield f"{where}: {column} {value[:100]!r} is not a date such as 2026-07-28"


def _line_faults(line: Line) -> Iterator[str]:
    if not is_valid_scac(line.scac):
        yield "not a SCAC: two to four capital letters"
    if line.role not in LINE_ROLES:
        yield f"role {line.role[:100]!r} is none of {', '.join(LINE_ROLES)}"
    if line.scope not in SCOPES:
        yield f"scope {line.scope[:100]!r} is none of {', '.join(SCOPES)}"

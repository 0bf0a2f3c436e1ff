"""What every task must see in the same order: parties, sailings, and the small records between them."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, assert_never

from router.model.identifiers import outage_key

LineRole = Literal["operator", "charterer"]

Scope = Literal["own", "do-not-load", "holds", "all"]
"""What an agreement grants a line beyond its own bills."""


class Party(NamedTuple):
    """One who is told. Several SCACs may be one party (`aliases`): one topic, under `scac`."""

    scac: str
    name: str | None = None
    roles: tuple[str, ...] = ()
    status: str = "live"
    """`certifying`, `live`, `suspended` or `external` (it will never subscribe)."""
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None
    aliases: tuple[str, ...] = ()
    production_group: str | None = None
    """The consumer group whose committed offsets show what it has read."""
    webhook_url: str | None = None
    """Where its notices go if it has no Kafka."""

    @property
    def topic(self) -> str:
        return party_topic(self.scac)

    @property
    def user(self) -> str:
        """The name it logs in with."""
        return f"snp.{self.scac}"

    @property
    def group_prefix(self) -> str:
        """What its consumer groups are named with. The dot at the end keeps `snp.NVX` out of those of `snp.NVXA`."""
        return f"{self.user}."


class Line(NamedTuple):
    """One line aboard a sailing."""

    scac: str
    role: LineRole
    voyage_number: str | None
    """That line's own."""
    scope: Scope


class Sailing(NamedTuple):
    """One vessel on one rotation, with every line aboard. An import replaces a sailing whole."""

    sailing_id: str
    imo_number: str
    vessel_name: str | None
    arrival_date: str | None
    lines: tuple[Line, ...]
    ports: tuple[str, ...] = ()
    """U.S. ports it calls at, Schedule D; empty: not known. Says whom a port may call, decides nothing."""


class RegistryNote(NamedTuple):
    """A registry record that is neither party nor sailing.

    `kind`: `epoch` (an import is complete: look at audiences again), `tick` (`at` is the time now, the only clock
    a decision sees), `installation` (`detail` is the secret that keys ids, hex; the first one counts), `missing`
    and `back` (`key` is a topic that can't, or can again, be written to), `asked` (a request of the party `key` was
    taken up).
    """

    kind: str
    key: str
    at: int
    detail: str | None = None


DECLARED, SILENT = "DECLARED", "SILENT"
RESYNC: Final = "RESYNC"


class Outage(NamedTuple):
    """One time that a system was down. Written again when it changes or ends; its record stays, as the history.

    `carrier` None: CBP's, or a port's. Else that line's own, which is told to the parties of its sailings only.
    """

    id: str
    kind: str
    """`DECLARED` by an operator, or a feed that is `SILENT`."""
    began_at: int
    mode: str | None = None
    """For display: everything here is `ocean`."""
    feed: str | None = None
    port: str | None = None
    """Schedule D; None: all ports."""
    carrier: str | None = None
    reason: str | None = None
    """Told to the parties."""
    ticket: str | None = None
    """Told to the parties: CBP's number, by which they may ask."""
    declared_by: str | None = None
    """Never told to parties, like `ended_by`."""
    until: int | None = None
    """Expected return."""
    ended_at: int | None = None
    ended_by: str | None = None


class FeedActivity(NamedTuple):
    """When a feed last brought something for a port (None: any)."""

    feed: str
    port: str | None
    at: int


class LateTally(NamedTuple):
    """What one run of a feed brought late after an outage. Cumulative within the run: the latest record says all."""

    outage: str
    run: str
    events: int
    do_not_loads: int
    holds: int
    """Other holds and blocks."""
    oldest_posted: int | None
    """UTC milliseconds."""
    at: int
    """When the last of it came."""


class Request(NamedTuple):
    """A party wants something. Whoever relays it writes it with `started_at` None; the task of partition 0 writes it
    again with the time, and by that starts it in every task, or takes it away if one of that party is running. Gone
    once all tasks are through."""

    id: str
    """Unique, made once by who asks."""
    kind: str
    """`RESYNC`: the status now of all its open bills."""
    scac: str
    by: str
    """The operator, or the party itself."""
    at: int
    started_at: int | None = None


class RequestDone(NamedTuple):
    """One task is through with a request."""

    request: str
    task: int
    tasks: int
    """How many there are."""
    at: int


RegistryValue = Party | Sailing | RegistryNote | Outage | FeedActivity | LateTally | Request | RequestDone
"""Everything that lies in `snp.registry`."""


def registry_key(value: RegistryValue) -> bytes:
    """Under a key of its own for each kind and subject: the registry is compacted."""
    match value:
        case Party():
            key = f"party:{value.scac}"
        case Sailing():
            key = f"sailing:{value.sailing_id}"
        case RegistryNote():
            key = f"{'destination' if value.kind in ('missing', 'back') else value.kind}:{value.key}"
        case Outage():
            key = outage_key(value.id)
        case FeedActivity():
            key = f"heard:{value.feed}:{value.port or ''}"
        case LateTally():
            key = f"late:{value.outage}:{value.run}"
        case Request():
            key = request_key(value.id)
        case RequestDone():
            key = f"done:{value.request}:{value.task}"
        case _:
            assert_never(value)
    return key.encode()


def request_key(request_id: str) -> str:
    return f"request:{request_id}"


def party_topic(scac: str) -> str:
    return f"snp.party.{scac}"

"""The answer to a search as typed: bills, containers, entries and master bills by number or a part of it, vessels and
voyages, sailings, parties, ports."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.registry import Registry
from router.decide.roster import same_voyage_number
from router.desk.bill_index import BillIndex, BillPage, IndexedVessel
from router.desk.bill_query import NUMBERS, BillQuery, compact, query_of
from router.desk.ports import port_names
from router.model.identifiers import SERIAL_WIDTH, container_check_digit, is_valid_container
from router.model.registry_values import Party, Sailing

SHORTEST_PART: Final = 3
"""Characters from which on a number is also found by a part of it."""
SHORTEST_NAME: Final = 2
SHOWN_OF_A_GROUP: Final = 10
"""Bills shown of each group; its query lists all."""

GROUP_TITLES: Final = {
    "bill": "Bills by number", "container": "Bills by container", "entry": "Bills by entry number",
    "master": "Bills by master bill",
}  # fmt: skip


class FoundBills(NamedTuple):
    """Bills that were found by one kind of number."""

    kind: str
    """A word of `NUMBERS`."""
    query: BillQuery
    """The query of all of them."""
    page: BillPage
    """The first of them."""

    @property
    def title(self) -> str:
        return GROUP_TITLES[self.kind]


class FoundPort(NamedTuple):
    port: str
    name: str | None
    bills: int


class SearchResult(NamedTuple):
    """Everything that a text names, in groups."""

    text: str
    bills: tuple[FoundBills, ...]
    vessels: tuple[IndexedVessel, ...]
    sailings: tuple[Sailing, ...]
    """By arrival, the latest first."""
    parties: tuple[Party, ...]
    ports: tuple[FoundPort, ...]
    remark: str | None
    """A fault of the text, such as a wrong check digit."""

    @property
    def is_empty(self) -> bool:
        return not (self.bills or self.vessels or self.sailings or self.parties or self.ports)


async def search(index: BillIndex, registry: Registry, text: str, now: int) -> SearchResult:
    """Find a text, in capitals or not, with blanks, dashes and check digit or without."""
    words, number = " ".join(text.upper().split()), compact(text).replace("*", "")
    if not number:
        return SearchResult(text, (), (), (), (), (), None)
    container, remark = _container(number)
    found = await _numbers(index, registry, container or number, now)
    ports = [
        FoundPort(port, name, await index.count(BillQuery(port=port), registry, now))
        for port, name in _ports(words).items()
    ]
    return SearchResult(
        text,
        found,
        await _vessels(index, words),
        tuple(sorted(_sailings(registry, words), key=lambda one: one.arrival_date or "", reverse=True)),
        tuple(sorted((one for one in registry.parties.values() if _fits_party(one, words)), key=lambda one: one.id)),
        tuple(one for one in ports if one.bills or one.name),
        remark,
    )


def _container(number: str) -> tuple[str | None, str | None]:
    """The serial of a container's number, and the fault of its check digit."""
    if is_valid_container(number):
        return number[:SERIAL_WIDTH], None
    if len(number) == SERIAL_WIDTH + 1 and is_valid_container(number[:SERIAL_WIDTH]):
        right = container_check_digit(number[:SERIAL_WIDTH])
        serial = number[:SERIAL_WIDTH]
        return serial, f"the check digit of {serial} is {right}, not {number[-1]}: compare the number on the door"
    return None, None


async def _numbers(index: BillIndex, registry: Registry, number: str, now: int) -> tuple[FoundBills, ...]:
    """Bills with this number; if there are none, those with one that begins so; if there are none, contains it."""
    for pattern in (number, f"{number}*"):
        if found := await _matching(index, registry, pattern, now):
            return found
    if len(number) < SHORTEST_PART:
        return ()
    pages = await index.containing(number, SHOWN_OF_A_GROUP)
    return tuple(FoundBills(kind, _query(kind, f"*{number}*"), page) for kind, page in pages.items())


def _query(kind: str, pattern: str) -> BillQuery:
    return query_of({kind: pattern, "sort": "bill"})


async def _matching(index: BillIndex, registry: Registry, pattern: str, now: int) -> tuple[FoundBills, ...]:
    found = []
    for kind in NUMBERS:
        query = _query(kind, pattern)
        page = await index.bills(query, registry, now, size=SHOWN_OF_A_GROUP)
        if page.total:
            found.append(FoundBills(kind, query, page))
    return tuple(found)


async def _vessels(index: BillIndex, words: str) -> tuple[IndexedVessel, ...]:
    """Vessels by the beginning of the name, or by name or IMO number and voyage."""
    if len(words) < SHORTEST_NAME:
        return ()
    if found := await index.vessels(words, ""):
        return tuple(found)
    name, _, voyage = words.rpartition(" ")
    return tuple(await index.vessels(name, voyage)) if name else ()


def _sailings(registry: Registry, words: str) -> list[Sailing]:
    name, _, voyage = words.rpartition(" ")
    if len(words) < SHORTEST_NAME:
        return []
    return [
        sailing
        for sailing in registry.roster.sailings().values()
        if words in sailing.sailing_id.upper()
        or words == sailing.imo_number
        or (sailing.vessel_name or "").upper().startswith(words)
        or any(line.voyage_number and same_voyage_number(words, line.voyage_number) for line in sailing.lines)
        or (
            name
            and (name == sailing.imo_number or (sailing.vessel_name or "").upper().startswith(name))
            and any(same_voyage_number(voyage, line.voyage_number) for line in sailing.lines)
        )
    ]


def _fits_party(party: Party, words: str) -> bool:
    ids = {party.id, *(alias.rpartition(":")[2] for alias in party.aliases)}
    return words in ids or (len(words) >= SHORTEST_PART and words in (party.name or "").upper())


def _ports(words: str) -> dict[str, str | None]:
    """Ports by code, or by a part of the name."""
    names = port_names()
    if words.isdigit() and len(words) in (4, 5):
        return {words: names.get(words)}
    if len(words) < SHORTEST_PART:
        return {}
    return {port: name for port, name in names.items() if words in name.upper()}

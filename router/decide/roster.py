"""The roster: sailings as imported, merged by rotation, and the finding of the sailing that a bill is on.

Lines register a rotation by port call (CBP's form 3171 is filed per port), so several records may be one rotation.
A sailing is *positively found* by IMO number and the manifest carrier's own voyage number. Otherwise one may be
*assumed*, so that its operator gets stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from router.model.eastern import day_of
from router.model.identifiers import is_valid_imo_number
from router.model.inputs import Shipment
from router.model.registry_values import SAME_ROTATION_DAYS, SCOPES, Line, Sailing, merged_calls

CAMIR_VOYAGE_WIDTH: Final = 5
"""CAMIR cuts voyage numbers (M01 35-39)."""
CAMIR_NAME_WIDTH: Final = 23
UNKNOWN_DISTANCE: Final = 10**6
"""Days, greater than between any two dates that are compared."""


class VoyageIdentifiers(NamedTuple):
    """The identifiers by which a bill's sailing is found."""

    imo_number: str | None = None
    vessel_name: str | None = None
    """None where a valid IMO number makes it needless."""
    carrier_scac: str | None = None
    voyage_number: str | None = None
    arrival_date: str | None = None
    port: str | None = None


def voyage_of(shipment: Shipment) -> VoyageIdentifiers:
    imo = shipment.imo_number
    name = None if imo and is_valid_imo_number(imo) else shipment.vessel_name
    date = shipment.arrival_date if shipment.arrival_date and day_of(shipment.arrival_date) else None
    return VoyageIdentifiers(imo, name, shipment.carrier_scac, shipment.voyage_number, date, shipment.port_of_unlading)


class SailingFinding(NamedTuple):
    """The sailing of a bill by its identifiers alone; at most one of the two."""

    found: Sailing | None = None
    """Positively found."""
    assumed: Sailing | None = None
    vessel_is_ambiguous: bool = False
    """True if the message names the vessel by a name that two IMO numbers have."""


class Vessel:
    """One ship's rotations, with indexes for finding them."""

    def __init__(self, rotations: Iterable[Sailing], party_of: Callable[[str], str]) -> None:
        self.rotations = tuple(rotations)
        self.by_voyage: dict[tuple[str, str], list[Sailing]] = {}
        """By party of a line and its voyage number without leading zeros."""
        self.by_cut: dict[tuple[str, str], list[Sailing]] = {}
        """By party of a line and each beginning of that number that a cut one may be."""
        for sailing in self.rotations:
            for line in sailing.lines:
                if line.voyage_number:
                    party, number = party_of(line.scac), without_zeros(line.voyage_number)
                    _add(self.by_voyage, (party, number), sailing)
                    for width in range(1, min(len(number), CAMIR_VOYAGE_WIDTH) + 1):
                        _add(self.by_cut, (party, number[:width]), sailing)

    def numbered(self, party: str, number: str, date: str | None) -> list[Sailing]:
        """Rotations near the date on which the party has that voyage number; if none, those whose number begins with
        it, provided it may have been cut."""
        key = (party, without_zeros(number))
        exact = [sailing for sailing in self.by_voyage.get(key, ()) if is_near(sailing, date)]
        if exact or len(number) != CAMIR_VOYAGE_WIDTH:
            return exact
        return [sailing for sailing in self.by_cut.get(key, ()) if is_near(sailing, date)]


def _add(index: dict[tuple[str, str], list[Sailing]], key: tuple[str, str], sailing: Sailing) -> None:
    known = index.setdefault(key, [])
    if sailing not in known:
        known.append(sailing)


_NO_VESSEL: Final = Vessel((), str)


class Roster:
    """All sailings as imported and as merged. Mutable, owned by the registry; what it hands out is frozen."""

    def __init__(self, party_of: Callable[[str], str]) -> None:
        """`party_of` gives the party's own SCAC for any of its SCACs."""
        self.records: dict[str, Sailing] = {}
        """Imported records by id."""
        self._party_of = party_of
        self._ids: dict[str, set[str]] = {}
        """Ids of records by IMO number."""
        self._numbers: dict[str, Counter[str]] = {}
        """IMO numbers by vessel name, as `_name_key` has it, with the number of records."""
        self._lines: Counter[str] = Counter()
        """Number of records by SCAC of a line aboard."""
        self._vessels: dict[str, Vessel] = {}
        """By IMO number; built on first use after a change."""
        self._merged: dict[str, Sailing] = {}
        """The sailing that each record is part of, by the record's id."""

    def apply(self, record: Sailing) -> None:
        """Enter a record, or replace the one with its id."""
        old = self.records.pop(record.sailing_id, None)
        if old is not None:
            self._vessels.pop(old.imo_number, None)
            self._ids[old.imo_number].discard(old.sailing_id)
            self._lines.subtract(line.scac for line in old.lines)
            self._numbers[_name_key(old)].subtract((old.imo_number,))
        self._vessels.pop(record.imo_number, None)
        self.records[record.sailing_id] = record
        self._ids.setdefault(record.imo_number, set()).add(record.sailing_id)
        self._lines.update(line.scac for line in record.lines)
        self._numbers.setdefault(_name_key(record), Counter()).update((record.imo_number,))

    def forget_parties(self) -> None:
        """Merge anew on next use, since SCACs may have come to another party."""
        self._vessels.clear()

    def has_line(self, scac: str) -> bool:
        return self._lines[scac] > 0

    def vessel_name(self, imo_number: str) -> str | None:
        names = [one.vessel_name for one in self._vessel(imo_number).rotations if one.vessel_name]
        return names[-1] if names else None

    def vessels(self) -> Iterator[Vessel]:
        return (self._vessel(imo_number) for imo_number in self._ids)

    def sailings(self) -> dict[str, Sailing]:
        """All sailings, merged, by id."""
        return {sailing.sailing_id: sailing for vessel in self.vessels() for sailing in vessel.rotations}

    def sailing(self, sailing_id: str) -> Sailing | None:
        """The sailing that the record with that id is part of."""
        record = self.records.get(sailing_id)
        if record is None:
            return None
        self._vessel(record.imo_number)
        return self._merged[sailing_id]

    def record_ids(self, sailing: Sailing) -> list[str]:
        """Ids of the records merged into a sailing."""
        ids = self._ids.get(sailing.imo_number, ())
        return sorted(one for one in ids if self.sailing(one) == sailing)

    def _vessel(self, imo_number: str) -> Vessel:
        vessel = self._vessels.get(imo_number)
        if vessel is None:
            ids = self._ids.get(imo_number)
            if not ids:
                return _NO_VESSEL
            groups = _rotations(self._by_arrival(ids), self._party_of)
            merged = [(_merged(group), group) for group in groups]
            self._merged.update((record.sailing_id, sailing) for sailing, group in merged for record in group)
            vessel = self._vessels[imo_number] = Vessel((sailing for sailing, _ in merged), self._party_of)
        return vessel

    def _by_arrival(self, ids: set[str]) -> list[Sailing]:
        """Records by first arrival; those without a date last."""
        return sorted((self.records[one] for one in ids), key=lambda one: (one.arrival_date or "~", one.sailing_id))

    # SailingFinding

    def find(self, voyage: VoyageIdentifiers, today: str | None = None) -> SailingFinding:
        """The sailing positively found, or assumed. `today` counts if the voyage has no arrival date; None: unknown."""
        found = self.positive(voyage)
        if len(found) == 1:
            return SailingFinding(found[0])
        numbers = self.vessels_of(voyage)
        if len(numbers) > 1:
            return SailingFinding(vessel_is_ambiguous=True)
        fitting = [one for imo in numbers for one in self._vessel(imo).rotations if not self.unfit(one, voyage, today)]
        return SailingFinding(assumed=min(fitting, key=lambda one: rank(one, voyage, today), default=None))

    def positive(self, voyage: VoyageIdentifiers) -> list[Sailing]:
        """Sailings that fit by IMO number, the manifest carrier's own voyage number, and date if there is one."""
        if voyage.imo_number is None or voyage.carrier_scac is None or voyage.voyage_number is None:
            return []
        carrier = self._party_of(voyage.carrier_scac)
        return self._vessel(voyage.imo_number).numbered(carrier, voyage.voyage_number, voyage.arrival_date)

    def vessels_of(self, voyage: VoyageIdentifiers) -> list[str]:
        """IMO numbers of the vessel named: by number, or by name if the message has no number, or an invalid one."""
        if voyage.imo_number in self._ids:
            return [voyage.imo_number]
        if voyage.vessel_name is None:
            return []
        numbers = self._numbers.get(cut_name(voyage.vessel_name), Counter())
        return sorted(number for number, records in numbers.items() if records > 0)

    def shared_names(self) -> Iterator[tuple[str, list[str]]]:
        """Vessel names, cut as CAMIR cuts them, of several IMO numbers."""
        for name, records in self._numbers.items():
            numbers = sorted(number for number, count in records.items() if count > 0)
            if name and len(numbers) > 1:
                yield name, numbers

    def of_vessel(self, imo_number: str) -> tuple[Sailing, ...]:
        """The vessel's sailings, by first arrival."""
        return self._vessel(imo_number).rotations

    def unfit(self, sailing: Sailing, voyage: VoyageIdentifiers, today: str | None) -> str | None:
        """The reason why a sailing of the vessel can't be assumed; None if it can."""
        if voyage.arrival_date is None:
            if today is not None and sailing.last_arrival_date is not None and sailing.last_arrival_date < today:
                return f"its last call, {sailing.last_arrival_date}, is past, and the bill has no arrival date"
        elif not is_near(sailing, voyage.arrival_date):
            days = distance(sailing, voyage.arrival_date)
            return f"the bill's arrival {voyage.arrival_date} is {days} days from its calls"
        elif sailing.arrival_date is not None:
            return None
        if self.is_aboard(sailing, voyage.carrier_scac) or self._has_number(sailing, voyage):
            return None
        return "neither carrier nor voyage number fits"

    def is_aboard(self, sailing: Sailing, scac: str | None) -> bool:
        party = self._party_of(scac) if scac else None
        return party is not None and any(self._party_of(line.scac) == party for line in sailing.lines)

    def _has_number(self, sailing: Sailing, voyage: VoyageIdentifiers) -> bool:
        """True if a line has the number; only asked about a carrier that is not aboard, whose own number is unknown."""
        return voyage.voyage_number is not None and any(
            same_voyage_number(voyage.voyage_number, line.voyage_number) for line in sailing.lines
        )


def rank(sailing: Sailing, voyage: VoyageIdentifiers, today: str | None) -> tuple[int, bool, str]:
    """Nearest date or next arrival first, then a call at the bill's port."""
    date = voyage.arrival_date
    days = distance(sailing, date) if date is not None else _until_next_call(sailing, today)
    return days, voyage.port not in sailing.ports, sailing.sailing_id


def _until_next_call(sailing: Sailing, today: str | None) -> int:
    start = day_of(today or "")
    days = [(day_of(date) - start).days for date in sailing.dates if start is not None]  # type: ignore[operator]
    return min((number for number in days if number >= 0), default=UNKNOWN_DISTANCE)


def is_near(sailing: Sailing, date: str | None) -> bool:
    """True if the date is near one of the sailing's calls, or one of the two is unknown."""
    return date is None or not sailing.dates or distance(sailing, date) <= SAME_ROTATION_DAYS


def distance(sailing: Sailing, date: str) -> int:
    """Days between the date and the nearest call."""
    day = day_of(date)
    if day is None:
        return UNKNOWN_DISTANCE
    return min((abs((day_of(one) - day).days) for one in sailing.dates), default=UNKNOWN_DISTANCE)  # type: ignore[operator]


def without_zeros(number: str) -> str:
    """A voyage number without leading zeros, which systems add and drop."""
    return number.lstrip("0") or "0"


def same_voyage_number(sent: str, registered: str | None) -> bool:
    """True if a message's voyage number may be the registered one: but for leading zeros and CAMIR's cut."""
    if registered is None:
        return False
    one, other = without_zeros(sent), without_zeros(registered)
    return one == other or (len(sent) == CAMIR_VOYAGE_WIDTH and other.startswith(one))


def same_name(one: str, other: str) -> bool:
    """True if two spellings name the same vessel, but for blanks and CAMIR's cut."""
    return one == other or cut_name(one) == cut_name(other)


def cut_name(name: str) -> str:
    """A vessel's name in capitals, with single blanks, as far as CAMIR sends it."""
    return " ".join(name.upper().split())[:CAMIR_NAME_WIDTH].strip()


def _name_key(sailing: Sailing) -> str:
    return cut_name(sailing.vessel_name or "")


# Merging


def _rotations(records: list[Sailing], party_of: Callable[[str], str]) -> list[list[Sailing]]:
    """Records of one vessel grouped by rotation: same operator, same voyage numbers of common lines, and arrivals up to
    14 days apart. A record without a date joins if there is exactly one rotation that it fits."""
    alike: dict[tuple[str | None, str | None], list[list[Sailing]]] = {}
    for record in records:
        groups = alike.setdefault(_operation(record, party_of), [])
        fitting = [group for group in groups if _is_one_rotation(record, group, party_of)]
        if fitting and (record.dates or len(fitting) == 1):
            fitting[0].append(record)
        else:
            groups.append([record])
    return sorted(
        (group for groups in alike.values() for group in groups), key=lambda group: group[0].arrival_date or "~"
    )


def _operation(record: Sailing, party_of: Callable[[str], str]) -> tuple[str | None, str | None]:
    """The operator and its voyage number."""
    for line in record.lines:
        if line.role == "operator":
            return party_of(line.scac), without_zeros(line.voyage_number) if line.voyage_number else None
    return None, None


def _is_one_rotation(record: Sailing, group: list[Sailing], party_of: Callable[[str], str]) -> bool:
    numbers = {party_of(line.scac): line.voyage_number for one in group for line in one.lines}
    common = [
        (line.voyage_number, numbers[party_of(line.scac)]) for line in record.lines if party_of(line.scac) in numbers
    ]
    known = [(without_zeros(one), without_zeros(other)) for one, other in common if one and other]
    if not known or any(one != other for one, other in known):
        return False
    return any(is_near(one, date) for one in group for date in record.dates or (None,))


def _merged(group: list[Sailing]) -> Sailing:
    """One sailing of a rotation's records, with every call and line, under the least of their ids.

    A line has the widest scope that one of them grants.
    """
    if len(group) == 1:
        return group[0]
    lines: dict[str, Line] = {}
    for line in (line for record in group for line in record.lines):
        known = lines.get(line.scac, line)
        scope = max(known.scope, line.scope, key=SCOPES.index)
        lines[line.scac] = line._replace(voyage_number=known.voyage_number or line.voyage_number, scope=scope)
    names = [record.vessel_name for record in group if record.vessel_name]
    ladings = [record.first_lading_date for record in group if record.first_lading_date]
    return Sailing(
        min(record.sailing_id for record in group),
        group[0].imo_number,
        names[-1] if names else None,
        merged_calls(call for record in group for call in record.calls),
        tuple(sorted(lines.values(), key=lambda line: line.role != "operator")),
        min(ladings, default=None),
    )

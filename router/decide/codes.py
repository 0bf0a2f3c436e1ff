"""CBP's disposition codes as data, each with its effect on a bill. The table is `disposition_codes.csv`.

Letters in a code carry no meaning (4H, 5H, MI and I3 break every pattern), so nothing here looks inside one.
Source of the rows: CBP CAMIR V19, appendix D (March 2025); the `provenance` column marks weaker rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast, get_args

from router.errors import UsageError
from router.model.inputs import Disposition
from router.model.vocabulary import Authority

COLUMNS = (
    "code",
    "meaning",
    "agency",
    "effect",
    "do_not_load",
    "pair",
    "cancels",
    "authority",
    "at_destination",
    "closes",
    "level",
    "provenance",
    "arrival",
    "shown_in_us",
    "ends_authorities",
)

ArrivalEffect = Literal["recorded", "changed", "deleted"]
"""CBP records an arrival in bond, records it at another port instead, or takes it back."""


class Effect(StrEnum):
    PLACE = "PLACE"
    LIFT = "LIFT"
    BLOCK = "BLOCK"
    RELEASE = "RELEASE"
    MOVE = "MOVE"
    REVOKE = "REVOKE"
    SNP_START = "SNP_START"
    CHANGE = "CHANGE"
    INFO = "INFO"
    ALERT = "ALERT"
    VESSEL = "VESSEL"


OTHER_HALF: Final = {Effect.PLACE: Effect.LIFT, Effect.LIFT: Effect.PLACE}
"""A hold and its removal name each other in `pair`."""


class Code(NamedTuple):
    code: str
    meaning: str
    agency: str
    effect: Effect
    do_not_load: bool
    pair: frozenset[str]
    """Placement: its removals. Removal: its placements. Block, and 4A: the codes that end it."""
    cancels: frozenset[str]
    """Revocation: the releases, authorities and blocks that it revokes."""
    authority: Authority | None
    """The authority short of delivery that it gives, as in a notice's `authorises`."""
    at_destination: bool
    """A hold at the in-bond destination: it doesn't stop the move there from the port of discharge (rule of 1J)."""
    closes: str | None
    """`yes`: it closes the bill, or its container (exported, archived). `undo`: it opens it again."""
    provenance: str
    arrival: ArrivalEffect | None = None
    """Its effect on CBP's record of an arrival in bond."""
    shown_in_us: bool = False
    """It shows the cargo in the U.S., so that it can't be loaded abroad any more."""
    ends_authorities: bool = False
    """It ends the authorities to move (1J, 1W, 1X, 1Z)."""
    of_container: bool = False
    """It concerns single containers: without naming one it shows nothing of the bill."""


class CodeTable:
    """All codes of one version. Immutable."""

    def __init__(self, version: str, codes: Iterable[Code], bundled: str = "", extra: str = "") -> None:
        """`bundled` and `extra` are the texts from which `read_codes` made it."""
        self.version, self.bundled, self.extra = version, bundled, extra
        self.codes = {code.code: code for code in codes}
        self.get = self.codes.get
        self.ends: dict[str, frozenset[str]] = {}
        """Blocks by the code that ends them."""
        for block in self.codes.values():
            if block.effect in (Effect.BLOCK, Effect.REVOKE):
                for end in block.pair:
                    self.ends[end] = self.ends.get(end, frozenset()) | {block.code}

    def is_urgent(self, event: Disposition) -> bool:
        """True if an event places, blocks or revokes, or may do so (unknown): it overtakes a backlog.

        Releases and removals never do, so no release of a bill overtakes a hold that was fed in before it.
        """
        known = self.get(event.disposition_code)
        if event.unknown_zone is not None:
            return True  # it stops its bill, whatever it is
        if known is None or known.effect in (Effect.PLACE, Effect.BLOCK, Effect.REVOKE):
            return True
        return event.reversal and known.effect in (Effect.RELEASE, Effect.MOVE, Effect.LIFT)


def load_codes(extra: Path | None = None) -> CodeTable:
    """The bundled table, with the rows of `extra`, a CSV of the same columns, added or replaced.

    Raises UsageError with file and row, or with the codes that contradict each other.
    """
    try:
        rows = "" if extra is None else extra.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"the disposition codes in {extra} can't be read: {error}") from error
    return with_extra(rows, extra.name if extra is not None else "")


def with_extra(extra: str, name: str) -> CodeTable:
    """The bundled table with the rows of the CSV `extra`, which has that name. Raises UsageError."""
    bundled = resources.files("router.decide").joinpath("disposition_codes.csv").read_text("utf-8")
    version = bundled.splitlines()[0].removeprefix("# version: ").split(" ", 1)[0]
    return read_codes(f"{version}+{name}" if name else version, bundled, extra)


@lru_cache(maxsize=16)
def read_codes(version: str, bundled: str, extra: str) -> CodeTable:
    """The table of two texts. The version's part behind `+` names the second. Raises UsageError. Cached: a task reads
    the same table with each number of the rules."""
    name = version.partition("+")[2]
    codes = {code.code: code for code in _read(bundled.splitlines(), "disposition_codes.csv")}
    try:
        codes |= {code.code: code for code in _read(extra.splitlines(), name)} if extra else {}
    except (ValueError, csv.Error) as error:
        raise UsageError(f"the disposition codes in {name} can't be read: {error}") from error
    if wrong := list(_contradictions(codes)):
        raise UsageError(f"{name or 'disposition_codes.csv'} and the bundled codes together: {'; '.join(wrong)}")
    return CodeTable(version, codes.values(), bundled, extra)


def _contradictions(codes: Mapping[str, Code]) -> Iterator[str]:
    """Faults that would stay unnoticed until cargo is at stake: a removal that lifts nothing, a release that nothing
    revokes."""
    revoked = frozenset[str]().union(*(code.cancels for code in codes.values() if code.effect is Effect.REVOKE))
    for code in codes.values():
        for named in sorted((code.pair | code.cancels) - codes.keys()):
            yield f"{code.code} names {named}, which is not in the table"
        if code.effect in OTHER_HALF:
            other = OTHER_HALF[code.effect]
            mutual = [codes[name] for name in code.pair if name in codes and code.code in codes[name].pair]
            if len(mutual) < len(code.pair) or not mutual or any(one.effect is not other for one in mutual):
                yield f"{code.code} ({code.effect}) and a {other} must name each other in the column pair"
        elif (code.effect is Effect.RELEASE or code.authority) and code.code not in revoked:
            yield f"{code.code} ({code.effect}) is in the column cancels of no {Effect.REVOKE}: nothing revokes it"


def _read(lines: Iterable[str], name: str) -> list[Code]:
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    missing = [column for column in COLUMNS[:4] if column not in (rows.fieldnames or ())]
    if missing:
        raise UsageError(f"{name}: column {', '.join(missing)} is missing; it needs {', '.join(COLUMNS)}")
    return [_code(row, f"{name}, code {row['code']!r}") for row in rows]


def _code(row: dict[str, str | None], place: str) -> Code:
    try:
        effect = Effect(row["effect"] or "")
    except ValueError as error:
        raise UsageError(f"{place}: effect {row['effect']!r} is none of {', '.join(Effect)}") from error
    return Code(
        code=(row["code"] or "").upper(),
        meaning=row["meaning"] or "",
        agency=row["agency"] or "",
        effect=effect,
        do_not_load=row.get("do_not_load") == "yes",
        pair=frozenset((row.get("pair") or "").split()),
        cancels=frozenset((row.get("cancels") or "").split()),
        authority=_authority(row.get("authority"), place),
        at_destination=row.get("at_destination") == "yes",
        closes=row.get("closes") or None,
        provenance=row.get("provenance") or "",
        arrival=_arrival(row.get("arrival"), place),
        shown_in_us=row.get("shown_in_us") == "yes",
        ends_authorities=row.get("ends_authorities") == "yes",
        of_container=row.get("level") == "container",
    )


def _authority(word: str | None, place: str) -> Authority | None:
    if word and word not in get_args(Authority):
        raise UsageError(f"{place}: authority {word!r} is none of {', '.join(get_args(Authority))}")
    return cast("Authority", word) if word else None


def _arrival(word: str | None, place: str) -> ArrivalEffect | None:
    if word and word not in get_args(ArrivalEffect):
        raise UsageError(f"{place}: arrival {word!r} is none of {', '.join(get_args(ArrivalEffect))}")
    return cast("ArrivalEffect", word) if word else None

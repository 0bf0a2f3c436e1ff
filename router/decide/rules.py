"""The rules of an installation: the settings that decisions depend on, and the code table.

Rules are numbered from 1. A bill keeps with each event the number of the rules under which it came, and goes on judging
it by those: a change of the rules applies to later events and frees nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

import msgspec

from router.decide.codes import CodeTable, load_codes, read_codes
from router.decide.port_areas import PortAreas, load_port_areas
from router.errors import FatalLogError, UsageError
from router.model.vocabulary import Usage

ReleaseAfterHold = Literal["fresh", "previous"]
"""Effect of a removed hold on the releases posted before it:

- `fresh`: they don't count until CBP releases anew or an operator confirms (CBP Trade Act FAQ, vessel mode, section 25:
  all holds are to be removed *and* a release is to be posted);
- `previous`: they count again (CAMIR V19, appendix D, code 1I, read second hand: the bill returns to its previous
  status).
"""
IndicatorMeaning = Literal["none", "resent", "reversal"]
"""Meaning of a value of X420: nothing, a hold that is sent again, or that CBP takes the quantity back."""
FRESH: Final = "fresh"
PREVIOUS: Final = "previous"
ACCEPTED_VERSIONS: Final = frozenset({"004010", "004060", "005010", "006030", "006050"})
"""X12 versions of whose segments a dictionary was read."""


class UnknownRules(UsageError):
    """A bill has an event of later rules than those read. Read the registry, then the bill again."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the rules have changed just now (to number {number}): give the command again")


@dataclass(frozen=True, slots=True)
class Rules:
    """A field with a default is a setting, and part of the rules' record, unless `NOT_SETTINGS` names it."""

    number: int = 1
    codes: CodeTable = field(default_factory=load_codes)
    port_areas: PortAreas = field(default_factory=load_port_areas)
    release_after_hold: ReleaseAfterHold = FRESH
    release_after_hold_exceptions: Mapping[str, ReleaseAfterHold] = field(default_factory=dict)
    """By code of the hold; `release_after_hold` is for all others."""
    history_complete_from: frozenset[str] = frozenset({"55"})
    """Codes that begin a bill's history."""
    usage: Usage = "production"
    """An interchange of the other use is put aside whole. Fixed once events were routed."""
    accepted_versions: frozenset[str] = ACCEPTED_VERSIONS
    """X12 versions (GS08, its first six places). A message of any other is damaged."""
    extra_segments: frozenset[str] = frozenset()
    """X12 segments beyond those of the set, which CBP has added to an event's loop. They are passed over."""
    x420_meanings: Mapping[str, IndicatorMeaning] = field(default_factory=dict)
    """By value of X420. An event with any other value frees nothing."""
    history_from_nomination_of_several: bool = False
    """A 69 that comes first begins the history also of a house bill with several second notify parties, each of which
    may have been named later."""
    four_eyes: bool = True
    """True: a hold that one person cleared counts as ended only once another person confirms it."""
    fold_after_events: int = 200
    forget_after_days: int = 90
    """Days of quiet after which a life that is over is forgotten."""
    forget_silent_after_days: int = 365
    """Days of quiet after which any bill is forgotten."""
    late_after_minutes: int = 60
    """Minutes from posting to receipt after which an event is flagged LATE."""
    manual_match_hours: int = 24
    """Most hours between a manual hold or release and the electronic event of the same code and scope that confirms
    it."""
    recovery_quiet_minutes: int = 30
    """Minutes without late events after which an outage's recovery is complete."""
    resync_over_days: int = 14
    """Days since its latest record after which a resync leaves out a bill that is over."""
    earlier: tuple[Rules, ...] = field(default=(), compare=False, repr=False)
    """Rules 1 to `number` - 1, by which the events that came under them are judged."""

    def at(self, number: int) -> Rules:
        """The rules of that number. Raises UnknownRules for a later one."""
        if number == self.number:
            return self
        if number > self.number:
            raise UnknownRules(number)
        return self.earlier[number - 1]

    def release_after_hold_of(self, code: str) -> ReleaseAfterHold:
        """Effect on earlier releases of a removed hold of that code."""
        return self.release_after_hold_exceptions.get(code, self.release_after_hold)


NOT_SETTINGS: Final = frozenset({"number", "earlier"})


def settings_of(rules: Rules) -> dict[str, Any]:
    """Every setting of the rules by its name, in plain values."""
    return {
        one.name: msgspec.to_builtins(getattr(rules, one.name), enc_hook=_plain, order="deterministic")
        for one in fields(Rules)
        if one.name not in NOT_SETTINGS
    }


def rules_of(settings: Mapping[str, Any], before: Rules | None) -> Rules:
    """The rules of such settings, which follow those before. A setting that is missing has its default.

    Raises FatalLogError for settings that another version of the router has written and this one can't follow.
    """
    number = before.number + 1 if before is not None else 1
    unknown = sorted(settings.keys() - {one.name for one in fields(Rules)})
    try:
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is unknown")
        rules = msgspec.convert(settings, Rules, dec_hook=_typed)
    except (msgspec.ValidationError, ValueError, UsageError) as error:
        raise FatalLogError(
            f"rules {number} can't be followed: {error}. Another version of the router wrote them: install that one"
        ) from error
    return replace(rules, number=number, earlier=(*before.earlier, before) if before is not None else ())


def _plain(value: Any) -> Any:
    if isinstance(value, CodeTable):
        return {"version": value.version, "bundled": value.bundled, "extra": value.extra}
    if isinstance(value, PortAreas):
        return [list(area) for area in value.members()]
    raise NotImplementedError(type(value))


def _typed(kind: type[Any], value: Any) -> Any:
    if kind is CodeTable:
        return read_codes(**msgspec.convert(value, dict[Literal["version", "bundled", "extra"], str]))
    if kind is PortAreas:
        return PortAreas(msgspec.convert(value, list[list[str]]))
    raise NotImplementedError(kind)

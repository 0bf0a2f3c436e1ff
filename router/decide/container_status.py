"""The status of each container of a bill: a gate lets boxes out, not bills.

A permit or release that names a container is for that container only (CBP Trade Act FAQ, vessel mode, section 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from router.decide.account import Account, StandingRelease
from router.decide.cargo_facts import Cargo
from router.decide.deeds import Deeds
from router.decide.places import PORT_DIFFERS, counts_somewhere, port_of
from router.decide.rules import Rules
from router.decide.status import (
    EMPTY_RELEASE,
    HISTORY_INCOMPLETE,
    Assessment,
    ContainerStatus,
    is_confirmed_whole,
    is_stale,
    permitted,
)
from router.model.identifiers import container_key
from router.model.limits import MOST_HOLDS

MOST_LISTED: Final = MOST_HOLDS
"""Containers that a notice lists. Of more, those that something names come first. A container that is not listed is
allowed nothing."""

_ANY: Final = ""
"""Key of a container that nothing names."""


def container_statuses(
    status: Assessment, account: Account, cargo: Cargo, rules: Rules, deeds: Deeds, *, incomplete: bool = False
) -> tuple[ContainerStatus, ...]:
    """The containers of the bill and those that its events name, sorted, whatever the order of arrival. Nothing
    is allowed while the bill is `incomplete`."""
    written = as_written(cargo.shipment.container_numbers)
    named = {container for container in _named(status, account) if container is not None}
    if not written and not named:
        return ()
    keys = sorted(named | written.keys())
    if len(keys) > MOST_LISTED:
        keys = sorted(keys, key=lambda key: key not in named)[:MOST_LISTED]
    incomplete = incomplete or HISTORY_INCOMPLETE in status.doubts
    assess = _Assessing(status, account, cargo, rules, deeds, incomplete).status_of
    alike = assess(_ANY)
    return tuple((assess(key) if key in named else alike)._replace(number=written.get(key, key)) for key in keys)


def _named(status: Assessment, account: Account) -> Iterator[str | None]:
    """Every container with something of its own; None for the whole bill."""
    yield from (hold.container_number for hold in (*status.holds, *status.cleared))
    yield from account.exported
    yield from account.places
    yield from account.movement_ended
    for release in account.releases:
        yield release.container
        yield from release.stale_by
    for (_, container), authority in account.authorities.items():
        yield container
        yield from authority.taken_back


class _Assessing:
    """The assessment of one bill's containers."""

    def __init__(
        self, status: Assessment, account: Account, cargo: Cargo, rules: Rules, deeds: Deeds, incomplete: bool
    ) -> None:
        self._account, self._cargo, self._rules, self._deeds = account, cargo, rules, deeds
        self._stopping = (*status.holds, *status.cleared)
        self._codes = {code for code, _ in account.authorities}
        self._is_only = cargo.containers_filed and len(cargo.container_keys) == 1
        self._allows_nothing = incomplete or account.is_deleted or account.closed

    def status_of(self, key: str) -> ContainerStatus:
        account = self._account
        holds = [hold for hold in self._stopping if hold.concerns(key)]
        do_not_load = any(hold.do_not_load for hold in holds)
        if self._allows_nothing or key in account.exported:
            return ContainerStatus(key, bool(holds), do_not_load, (), False)
        authorises = permitted((account.authority_of(code, key) for code in self._codes), self._cargo, holds)
        return ContainerStatus(key, bool(holds), do_not_load, authorises, not holds and self._is_released(key))

    def _is_released(self, key: str) -> bool:
        """True if a release without doubt names the container, or such releases of the bill and of the container cover
        all pieces but those released by other containers.

        The bill's only container holds all its pieces, so a release of fewer leaves some in it.
        """
        good = [release for release in self._account.releases if self._counts(release, key)]
        named = [release for release in good if release.container is not None]
        if any(not one.reduced and (one.quantity is None or not self._is_only) for one in named):
            return True
        of_the_bill = [release for release in good if release.container is None]
        if any(self._is_whole(release) for release in of_the_bill):
            return True
        others = sum(one.quantity or 0 for one in self._account.releases if one.container not in (None, key))
        pieces: dict[str | None, int] = {}
        for release in good:
            port = port_of(release, self._cargo, self._rules)
            pieces[port] = pieces.get(port, 0) + (release.quantity or 0)
        manifested = self._account.manifested
        return manifested is not None and any(here + others >= manifested for here in pieces.values())

    def _counts(self, release: StandingRelease, key: str) -> bool:
        """True if the release is for the container, at a place of it, and no hold outdated it there."""
        if release.container not in (None, key):
            return False
        if is_stale(release, [hold for scope, hold in release.stale_by.items() if scope in (None, key)], self._deeds):
            return False
        if self._deeds.settle(PORT_DIFFERS, release.id):
            return True
        return counts_somewhere(release._replace(container=key), self._account, self._cargo, self._rules)

    def _is_whole(self, release: StandingRelease) -> bool:
        """True for the 1C of an empty, and for a release of an unknown quantity that an operator confirmed."""
        if self._cargo.is_empty and release.code == EMPTY_RELEASE:
            return True
        is_unknown = release.quantity is None or self._account.manifested is None
        return is_unknown and is_confirmed_whole(release, self._account, self._deeds)


@lru_cache(1024)
def as_written(numbers: tuple[str, ...]) -> Mapping[str, str]:
    """Container numbers by key, in their order; the first of two spellings."""
    written: dict[str, str] = {}
    for number in numbers:
        written.setdefault(container_key(number), number)
    return written

"""Releases and authorities of an account, and their revocation.

They are kept per entry and scope. Sources: CAMIR V19, appendix D; CBP's Trade Act FAQ (vessel mode, 2008), section 8,
for permits by container.
"""

from __future__ import annotations

from typing import Final

from router.decide.account import Account, AuthorisedPieces, StandingAuthority, StandingRelease
from router.decide.codes import Code, Effect
from router.decide.deeds import Deeds
from router.decide.ledger_event import LedgerEvent
from router.decide.placements import MOST_EXCEPTED, end_holds, may_be_same, place, scopes_of, subtract
from router.decide.rules import Rules
from router.model.vocabulary import Authority

OVERRIDE: Final = "4A"
EXAM_CODES: Final = frozenset({"1A", "1B"})
MOST_RELEASES: Final = 200
"""Releases kept apart. Beyond, the oldest are dropped, which can only show less as released."""


def apply_release(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    """Apply 1B, 1C, 4C, or 1J, 1W, 1X, 1Z, which allow less than delivery. A reversal revokes the same."""
    if event.reversal:
        _cancel(account, event, frozenset({event.code}))
        if event.code in EXAM_CODES:  # the exam that 1B ended is required again, as after 4A
            place(account, event, ("1A",), rules, deeds)
        return
    if code.effect is Effect.MOVE:
        if code.authority:
            account.revoked = account.revoked and bool(event.containers)
            for container in scopes_of(event):
                _authorise(account, event, code.authority, container)
        return
    account.revoked = False
    end_holds(account, event, rules.codes.ends.get(event.code, frozenset()))
    quantity = event.quantity if len(event.containers) < 2 else None  # nobody knows each container's share
    for container in scopes_of(event):
        add_release(
            account,
            StandingRelease(
                *(event.id, event.code, quantity, event.posted, event.entry_number, event.port),
                container=container,
                rules=event.rules,
            ),
        )


def _authorise(account: Account, event: LedgerEvent, authority: Authority, container: str | None) -> None:
    """Add an authority. Numbers add up, since a bill may move in several parts; one given again replaces itself."""
    key = (event.code, container)
    standing = account.authorities.get(key)
    pieces = standing.pieces if standing is not None and not standing.taken_back else {}
    quantity = event.quantity if len(event.containers) < 2 else None
    pieces = {**pieces, event.entry_number: AuthorisedPieces(quantity, event.posted_at)}
    latest = dict(list(pieces.items())[-MOST_RELEASES:])
    account.authorities[key] = StandingAuthority(authority, latest)


def add_release(account: Account, release: StandingRelease) -> None:
    """Add a release. It replaces interrupted ones in its scope that may be the same entry's."""
    account.releases = [
        one
        for one in account.releases
        if not one.interrupted
        or release.container not in (None, one.container)
        or not may_be_same(one.entry_number, release.entry_number)
    ]
    account.releases.append(release)
    del account.releases[:-MOST_RELEASES]


def revoke(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    """Apply 4A, 4E, 14-16, 4Z, 83, 84, 95. A 4A after 1A or 1B holds again, until 1B or 4C; a later 1C doesn't end
    it. From damaged input it ends no exam."""
    _cancel(account, event, code.cancels)
    if event.uncertain is None:
        subtract(account, event, code.cancels)
    if event.code == OVERRIDE and account.last_entry_code in EXAM_CODES:
        place(account, event, (event.code,), rules, deeds)


def _cancel(account: Account, event: LedgerEvent, codes: frozenset[str]) -> None:
    """Take back what was posted until the event in its scope: the named entry's, or without one, and for 4A, all.

    A release whose entry is unknown may be the named one's, so it is taken back too. With a quantity below the bill's,
    each of these entries loses that many pieces.
    """
    minute = event.latest_minute
    for key, authority in list(account.authorities.items()):
        if key[0] not in codes or not _touches(event, key[1]):
            continue
        later = {entry: one for entry, one in authority.pieces.items() if one.posted_at > event.latest_at}
        if len(later) == len(authority.pieces):
            continue
        taken_back = authority.taken_back.union(event.containers)
        if key[1] is None and event.containers and len(taken_back) <= MOST_EXCEPTED:
            account.authorities[key] = authority._replace(taken_back=taken_back)
        elif later:
            account.authorities[key] = authority._replace(pieces=later)
        else:
            del account.authorities[key]
    account.revoked = account.revoked or bool(codes - {"1A"})
    named = None if event.code == OVERRIDE else event.entry_number
    by_entry: dict[str | None, list[int]] = {}
    for position, release in enumerate(account.releases):
        is_meant = release.code in codes and may_be_same(release.entry_number, named)
        if is_meant and _touches(event, release.container) and release.posted <= minute:
            by_entry.setdefault(release.entry_number, []).append(position)
    if not by_entry:
        return
    after: list[StandingRelease | None] = [*account.releases]
    pieces = event.quantity if len(event.containers) < 2 else None  # nobody knows each container's share
    is_part = pieces is not None and (account.manifested is None or pieces < account.manifested)
    for positions in by_entry.values():
        releases = [account.releases[position] for position in positions]
        left = _without_newest(releases, pieces or 0, account.manifested) if is_part else [None] * len(releases)
        for position, rest in zip(positions, left, strict=True):
            after[position] = rest
    account.releases = [release for release in after if release is not None]


def _touches(event: LedgerEvent, container: str | None) -> bool:
    """True if the event concerns cargo of the scope."""
    return not event.containers or container is None or container in event.containers


def _without_newest(
    releases: list[StandingRelease], pieces: int, manifested: int | None
) -> list[StandingRelease | None]:
    """Releases of one entry without that many of the newest pieces, since CBP most likely revokes what it gave last.

    In the same order; None for those that are gone. Pieces beyond the bill's quantity were given twice: the oldest.
    """
    is_known = manifested is not None and all(release.quantity is not None for release in releases)
    left: list[StandingRelease | None] = []
    newer = 0
    for release in reversed(releases):
        if release.quantity is None:
            left.append(None if newer < pieces else release._replace(interrupted=True, reduced=True))
            newer = max(newer, pieces)
            continue
        end = newer + release.quantity
        stays = (min(end, manifested or 0) if is_known else end) - max(newer, pieces)
        left.append(release._replace(quantity=stays, interrupted=True, reduced=True) if stays > 0 else None)
        newer = end
    return left[::-1]

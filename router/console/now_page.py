"""The first page: what stops cargo now, whom to call about it, what is new, and the stream that keeps pages current."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.backend import Backend
from router.console.list_pages import NOTICES, notice_filter
from router.console.rendering import backend_of, bill_of, cause_of, form_of, page, session_of
from router.console.sessions import csrf_ok
from router.desk.bill_query import BillQuery
from router.desk.index_notices import notices_of
from router.desk.rules_in_force import release_after_hold_text
from router.desk.stop_records import Call, stops_since
from router.desk.unread_notices import Stop, UnreadNotices
from router.errors import UsageError
from router.model.eastern import HOUR
from router.model.registry_values import Party
from router.presentation import by_cause

RECENT: Final = 50
"""Notices on the page."""
MOST_NEW: Final = 20
MOST_ON_CARD: Final = 8
"""Bills on a party's card; its page has all."""

LOOKED: Final = "looked"
"""The session's field with the time up to which this person has seen the new do-not-loads."""
A_SHIFT: Final = 12 * HOUR


class CallCard(NamedTuple):
    """A party that has not read its do-not-loads, or of which nobody knows what it has read."""

    party: Party
    stops: tuple[Stop, ...]
    """Unread do-not-loads, the oldest first."""
    unknown: str | None
    """Why its reading is unknown."""
    call: Call | None
    """The latest call to it."""

    @property
    def rings(self) -> bool:
        """True until the party is called, and again once a later do-not-load is unread."""
        if self.call is None:
            return True
        return any(stop.since > self.call.at for stop in self.stops)

    @property
    def since(self) -> int | None:
        return self.stops[0].since if self.stops else None


def call_cards(unread: Iterable[UnreadNotices], calls: Mapping[str, Call]) -> list[CallCard]:
    """One card a party: those to be called first, then the one with the oldest do-not-load."""
    cards = []
    for one in unread:
        stops = tuple(sorted(one.do_not_loads, key=lambda stop: stop.since))
        if stops or one.receipt.disbelieved is not None:
            cards.append(CallCard(one.party, stops, one.receipt.unknown, calls.get(one.party.id)))
    return sorted(cards, key=lambda card: (not card.rings, card.since is None, card.since or 0, card.party.id))


async def now(request: Request) -> Response:
    """The first page, as of one moment."""
    backend, moment = backend_of(request), now_milliseconds()
    given = await NOTICES.given(request)
    wanted = notice_filter(request, given)
    index, looked = backend.index, request.session.get(LOOKED, moment - A_SHIFT)
    cards = call_cards(backend.unread, await index.calls())
    new = await index.page(stops_since(looked), size=MOST_NEW)
    recent = await index.page(notices_of(wanted), size=RECENT)
    return page(
        request, "now.html", wanted=wanted, cards=cards, most_on_card=MOST_ON_CARD,
        groups=by_cause(recent.rows, cause_of, bill_of), recent=recent,
        links=NOTICES.links("/notices", given, recent),
        counts=await index.counts(), statuses=await index.statuses(), codes=backend.rules.codes,
        stopped=await index.bills(BillQuery(do_not_load="yes"), backend.registry, moment),
        in_last_hour=await index.count_stops(moment - HOUR),
        new=new, looked=looked, looked_until=max((one.since for one in new.rows), default=moment) + 1,
        unread_parties=sum(bool(card.stops) for card in cards),
        oldest=min((card.since for card in cards if card.since is not None), default=None),
        unreadable=[one for one in backend.unread if not one.is_known], unread_unknown=backend.unread_unknown,
        feeds=feed_ages(backend, moment), unconfirmed=backend.unconfirmed, rule=release_after_hold_text(backend.rules),
    )  # fmt: skip


class FeedAge(NamedTuple):
    feed: str
    port: str | None
    at: int
    is_silent: bool
    """An outage of it is open."""


def feed_ages(backend: Backend, moment: int) -> list[FeedAge]:
    """The time of each feed's last message, the silent ones first."""
    down = {(one.feed, one.port) for one in backend.follower.outages.values() if one.ended_at is None and one.feed}
    ages = [
        FeedAge(feed, port, min(at, moment), (feed, port) in down or (feed, None) in down)
        for (feed, port), at in backend.registry.feed_activity.items()
    ]
    return sorted(ages, key=lambda one: (not one.is_silent, one.feed, one.port or ""))


async def looked(request: Request) -> Response:
    """Note that this person has seen the new do-not-loads, up to the latest one on the page."""
    given = await form_of(request)
    if csrf_ok(session_of(request), given.get("csrf", "")) and given.get("until", "").isdecimal():
        request.session[LOOKED] = min(int(given["until"]), now_milliseconds())
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


async def live(request: Request) -> Response:
    """The stream for all tabs of a browser, as server-sent events. `HEAD` tells whether one would be answered."""
    backend = backend_of(request)
    user = session_of(request).user.name
    if not backend.live.has_room_for(user):
        text = "too many browsers are open: close one, or reload this page later"
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, text)
    if request.method == "HEAD":
        return Response()

    async def events() -> AsyncIterator[str]:
        with backend.live.subscribed(user) as beats:
            async for beat in beats:
                if not _is_logged_in(backend, request):
                    return
                state = {"as_of": backend.as_of, "now": now_milliseconds(), "unread": backend.unread_do_not_loads}
                stops = [stop._asdict() for stop in beat.stops]
                told = {"revision": beat.revision, "pause": beat.pause, "stops": stops, **state}
                yield f"data: {json.dumps(told)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _is_logged_in(backend: Backend, request: Request) -> bool:
    """False also while the file of users can't be read."""
    with suppress(UsageError):
        return backend.sessions.session_of(request) is not None
    return False


NOW: Final[list[Any]] = [Route("/", now), Route("/live", live), Route("/looked", looked, methods=["POST"])]

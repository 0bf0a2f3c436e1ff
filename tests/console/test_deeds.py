"""Deeds on the console: each is previewed, done as previewed, and shows its receipt and its result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import aiohttp

from router import topics
from router.console import AccessSettings, ConsoleSettings
from router.console.application import serve_console
from router.console.flag_advice import ADVICE
from router.console.sessions import OPERATOR, Users
from router.desk.operator_deeds import read_dead_letters
from router.engine.administration import import_parties, prepare
from router.engine.intake import event_outputs, ingest_file
from router.engine.worker import Worker
from router.feeds.formats import read_events
from router.log.interface import Log
from router.log.url import open_log
from router.model.inputs import Disposition
from router.model.registry_values import Party
from router.model.vocabulary import Flag
from tests.cli.conftest import BILL, event_line
from tests.desk.installation import QUICK, RULES

PASSWORD = "correct horse battery"
EVENTS = (
    {"disposition_code": "55", "action_at": "2026-07-15T07:00", "quantity": 120},
    {"disposition_code": "1H", "action_at": "2026-07-15T08:00"},
    {"disposition_code": "1C", "action_at": "2026-07-15T09:00", "quantity": 120},
)
WHY = {"source": "J. Smith, CBP", "reason": "removal lost", "ticket": "4711"}


class Page:
    """The bill's page as a logged-in operator sees it."""

    def __init__(self, address: str) -> None:
        self.client = aiohttp.ClientSession(f"http://{address}", cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def log_in(self, name: str) -> None:
        await self.client.post("/login", data={"name": name, "password": PASSWORD})

    async def shown(self, text: str) -> str:
        """The page once it shows the text."""
        async with asyncio.timeout(20):
            while True:
                async with self.client.get(f"/bills/{BILL}") as answer:
                    page = await answer.text()
                if text in page:
                    return page
                await asyncio.sleep(0.05)

    async def preview(self, form: str, **fields: str) -> tuple[int, str]:
        """The answer to a form, with this user's own token."""
        (csrf, *_) = re.findall('name="csrf" value="([^"]+)"', await self.shown("csrf"))
        async with self.client.post(f"/bills/{BILL}/{form}", data={"csrf": csrf} | fields) as answer:
            return answer.status, await answer.text()

    async def confirm(self, form: str, preview: str, **fields: str) -> tuple[int, str]:
        """Confirm what that preview shows."""
        (token,) = re.findall('name="previewed" value="([^"]+)"', preview)
        return await self.preview(form, previewed=token, **fields)

    async def do(self, form: str, **fields: str) -> str:
        """Send a form and confirm its preview; return the page that follows, which has the receipt."""
        status, preview = await self.preview(form, **fields)
        assert status == 200, preview
        status, page = await self.confirm(form, preview, **fields)
        assert (status, "Done: " in page) == (200, True), page
        return page


async def route(log: Log, *events: dict[str, object]) -> None:
    lines = "".join(event_line(**event) for event in events).encode()
    read = [one for one in read_events((lines,), "events.jsonl", 0) if isinstance(one, Disposition)]
    await log.append([output for one in read for output in event_outputs(one, RULES.codes.is_urgent)], atomic=True)
    await Worker(log, RULES, QUICK, until_idle=True).run()


HOLD = "CBP|1H||"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Log, Page, Page]]:
    """A log with a held bill, and the console's pages of two operators."""
    users = Users(folder / "users.json")
    for name in ("anna", "ben"):
        users.put(name, OPERATOR, PASSWORD)
    access = AccessSettings(users_file=folder / "users.json", secure_cookie=False)
    settings = ConsoleSettings(index_file=folder / "index.db", access=access)
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await prepare(log, 1)
        await import_parties(log, [Party("NVXA")])
        await route(log, *EVENTS)
        async with serve_console(log, RULES, settings, "127.0.0.1:0") as address:
            anna, ben = Page(address), Page(address)
            try:
                await anna.log_in("anna")
                await ben.log_in("ben")
                yield log, anna, ben
            finally:
                await anna.client.close()
                await ben.client.close()


async def test_one_user_clears_and_another_confirms(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, ben):
        await anna.shown("sent no removal")
        _, seen_before = await ben.preview("clear", hold=HOLD, **WHY)
        page = await anna.do("clear", hold=HOLD, **WHY)
        assert "The router has not decided yet" in page
        await route(log)
        await anna.shown("cleared by console:anna")
        status, text = await ben.confirm("clear", seen_before, hold=HOLD, **WHY)
        assert (status, "that hold does not stand any more" in text) == (422, True)
        status, text = await anna.preview("confirm", reason="by phone")
        assert (status, "another person has to confirm that" in text) == (422, True)
        await ben.do("confirm", reason="by phone")
        await route(log)
        await ben.shown("May be delivered")


async def test_a_preview_names_who_is_notified_and_does_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, _):
        before = await log.end_offsets(topics.DISPOSITIONS)
        status, preview = await anna.preview("by-hand", action="PLACE", code="6H", source="J. Smith")
        assert status == 200
        assert "1 notice<" in preview
        assert '<a href="/parties/NVXA">NVXA</a>' in preview
        assert "The status then is do not load." in preview
        assert await log.end_offsets(topics.DISPOSITIONS) == before


async def test_a_deed_is_done_only_on_what_its_preview_showed(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, _):
        fields = {"action": "RELEASE", "source": "J. Smith"}
        _, preview = await anna.preview("by-hand", **fields)
        await route(log, {"disposition_code": "1I", "action_at": "2026-07-15T10:00"})
        before = await log.end_offsets(topics.DISPOSITIONS)
        status, again = await anna.confirm("by-hand", preview, **fields)
        assert (status, "has changed since you saw it" in again) == (422, True)
        assert await log.end_offsets(topics.DISPOSITIONS) == before
        status, page = await anna.confirm("by-hand", again, **fields)
        assert (status, "Done: Release" in page) == (200, True)


async def test_a_result_appears_on_the_page_and_stands_in_the_history_as_done_by_hand(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, _):
        fields = {"action": "PLACE", "code": "6H", "source": "J. Smith", "ticket": "4711", "channel": "e-mail"}
        _, preview = await anna.preview("by-hand", **fields)
        (token,) = re.findall('name="previewed" value="([^"]+)"', preview)
        (csrf, *_) = re.findall('name="csrf" value="([^"]+)"', preview)
        sent = {"csrf": csrf, "previewed": token} | fields
        async with anna.client.post(f"/bills/{BILL}/by-hand", data=sent, allow_redirects=False) as answer:
            receipt = answer.headers["location"]
        await route(log)
        async with asyncio.timeout(20):
            while "Decided: " not in (page := await (await anna.client.get(receipt)).text()):
                await asyncio.sleep(0.05)
        assert "Foreseen: hold to NVXA." in page
        assert "By hand: entered by anna, on the word of J. Smith, by e-mail, ticket 4711" in page
        assert "entered by hand, or rests on that alone: act on it" in page, "each flag says what to do"


async def test_the_handover_has_what_was_stopped_and_done_since_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, _):
        await anna.do("by-hand", action="PLACE", code="6H", source="J. Smith")
        await route(log)
        text = await (await anna.client.get("/handover?since=1h")).text()
        assert "1 new do-not-load, 1 standing" in text
        assert "<td>hold place</td>" in text
        refused = await (await anna.client.get("/handover?since=tomorrow")).text()
        assert 'value="tomorrow"' in refused
        assert 'role="alert"' in refused


async def test_an_error_keeps_the_form(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, anna, _):
        fields = {"action": "RELEASE", "code": "6H", "source": 'J. "Smith"', "ticket": "4711"}
        status, page = await anna.preview("by-hand", **fields)
        assert (status, "is not a release" in page) == (422, True)
        for kept in ('value="6H"', 'value="J. &#34;Smith&#34;"', 'value="4711"', '<option value="RELEASE" selected>'):
            assert kept in page


async def test_a_release_by_hand_needs_who_said_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, anna, _):
        status, page = await anna.preview("by-hand", action="RELEASE")
        assert (status, "the field Who at CBP is empty" in page) == (422, True)


async def test_a_forged_receipt_shows_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, anna, _):
        answer = await anna.client.get(f"/bills/{BILL}?receipt=WyJYIiwxLCJ5IixbXV0.forged")
        assert (answer.status, "Done: " in await answer.text()) == (200, False)


async def test_a_retry_names_each_bill_with_its_status_and_each_party_with_its_notices(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, anna, _):
        other = {"bill_of_lading": "HBL2", "disposition_code": "6H", "action_at": "2026-07-15T10:00"}
        (tmp_path / "broken.jsonl").write_text(event_line(disposition_code="0?"))
        await ingest_file(log, tmp_path / "broken.jsonl", RULES)
        await route(log)
        (letter,) = [one.id for one in await read_dead_letters(log)]
        (csrf, *_) = re.findall('name="csrf" value="([^"]+)"', await anna.shown("its dead letter"))
        again = {"disposition_code": "4A", "action_at": "2026-07-15T11:00"}
        sent = {"csrf": csrf, "corrected": event_line(**again) + event_line(**other)}
        async with anna.client.post(f"/dead-letters/{letter}/retry", data=sent) as answer:
            status, preview = answer.status, await answer.text()
        assert (status, "2 events of 2 bills." in preview) == (200, True), preview
        rows = [re.sub(r"\s*<[^>]+>\s*", " ", row).split() for row in re.findall("<tr>.*?</tr>", preview, re.DOTALL)]
        assert ["NVXA", "1", "1", "0"] in rows
        assert [BILL, "HELD", "HELD", "4A", "change", "to", "NVXA"] in rows
        assert ["NVXAHBL2", "not", "known", "DO", "NOT", "LOAD", "6H", "hold", "to", "NVXA"] in rows


def test_every_flag_has_its_advice() -> None:
    assert set(ADVICE) == set(get_args(Flag))

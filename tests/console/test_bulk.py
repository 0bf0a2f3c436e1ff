"""A deed on several bills from the list: preview, deed, receipt."""

from __future__ import annotations

import html
import re
from pathlib import Path

from router.console import AccessSettings, ConsoleSettings
from router.console.application import serve_console
from router.console.sessions import OPERATOR, Users
from router.engine.administration import prepare
from router.log.url import open_log
from tests.console.test_deeds import PASSWORD, Page
from tests.desk.installation import RULES
from tests.desk.test_bulk_deeds import KEYS, NUMBERS, life, route


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the page's last form that has some, as a browser sends them."""
    form = page.rpartition('<form class="act"')[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    found += re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', form, re.DOTALL)
    return {name: html.unescape(value) for name, value in found}


async def test_many_bills_are_confirmed_after_a_preview_of_the_notices(tmp_path: Path) -> None:
    Users(tmp_path / "users.json").put("anna", OPERATOR, PASSWORD)
    access = AccessSettings(users_file=tmp_path / "users.json", secure_cookie=False)
    settings = ConsoleSettings(index_file=tmp_path / "index.db", access=access)
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await route(log, *(event for number in NUMBERS for event in life(number, "55", "1C", "1H", "1I")))
        async with serve_console(log, RULES, settings, "127.0.0.1:0") as address:
            anna = Page(address)

            async def send(path: str, fields: dict[str, str]) -> tuple[int, str]:
                async with anna.client.post(path, data=fields) as answer:
                    return answer.status, await answer.text()

            async def shown(path: str) -> str:
                async with anna.client.get(path) as answer:
                    return await answer.text()

            try:
                await anna.log_in("anna")
                while "Bills 1 to 3 of 3" not in (listed := await shown("/bills?doubt=RELEASE_PREDATES_HOLD")):
                    pass
                csrf = re.findall(r'name="csrf" value="([^"]+)"', listed)[-1]
                here = "/bills?doubt=RELEASE_PREDATES_HOLD"
                asked = {"csrf": csrf, "deed": "confirm"}
                code, text = await send(here, asked | {"reason": "CBP's list", "scope": "selected"})
                assert (code, "no bill is selected" in text) == (422, True)
                assert "Bills 1 to 3 of 3" in text, "the list is the same"
                assert 'value="CBP&#39;s list"' in text, "an error keeps the form"
                code, text = await send(here, asked | {f"bill:{KEYS[0]}": "yes"})
                assert (code, "the field ground is empty" in text) == (422, True)
                assert f'aria-label="Select {KEYS[0]}" checked' in text
                code, one = await send(here, asked | {"reason": "x", f"bill:{KEYS[0]}": "yes"})
                assert (code, "1 of 1 bills" in one) == (200, True)
                code, preview = await send(here, asked | {"reason": "CBP's list", "scope": "list"})
                assert (code, "Nothing has been done yet" in preview, "3 of 3 bills" in preview) == (200, True, True)
                assert "Confirm 3 bills?" in preview
                assert f'<a href="{here}">Leave it</a>' in preview
                await route(log, *life("HBL2", "55", "1C", "1H", "1I", "1H"))
                code, receipt = await send(here, hidden(preview))
                assert (code, "Done: Confirm 2 bills" in receipt, "2 done, 1 left alone" in receipt) == (
                    200,
                    True,
                    True,
                )
                assert "changed since the preview" in receipt
                await route(log)
                while "Bills 1 to 2 of 2" not in await shown("/bills?status=RELEASED"):
                    pass
                code, text = await send(here, asked | {"reason": "x", "previewed": "[]"})
                assert (code, "the preview is missing" in text) == (422, True)
            finally:
                await anna.client.close()

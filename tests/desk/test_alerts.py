"""Alarms: raised once, kept while they stand, ended once."""

from __future__ import annotations

from pathlib import Path

import pytest

from router import topics
from router.desk.alerts import Alert, alert_for, read_alerts, settle_alerts
from router.engine.administration import prepare
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import DAY
from router.model.registry_values import Party

NOW = 1_784_030_400_000


def alert(bill: str, kind: str = "UNREAD_HOLD", now: int = NOW) -> Alert:
    party = Party("SLTC", contact_phone="+1-555-0110")
    return alert_for(party, f"unread:SLTC:{bill}", kind, NOW - 5, now, "SLTC has not read …")


async def written(log: Log) -> int:
    return sum([len(batch) async for batch in log.read([topics.ALERTS], until_end=True)])


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/snp.db"


async def test_an_alarm_is_raised_once_kept_and_ended_once(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        first = await settle_alerts(log, "unread:", [alert("A"), alert("B")], NOW)
        assert [one.id for one in first.new] == ["unread:SLTC:A", "unread:SLTC:B"]
        again = await settle_alerts(log, "unread:", [alert("A", now=NOW + 9), alert("B")], NOW + 9)
        assert again == ((), ())
        over = await settle_alerts(log, "unread:", [alert("B")], NOW + 10)
        assert [(one.id, one.ended_at) for one in over.ended] == [("unread:SLTC:A", NOW + 10)]
        assert await settle_alerts(log, "unread:", [alert("B")], NOW + 11) == ((), ())
        standing = {id: one.ended_at for id, one in (await read_alerts(log)).items()}
        assert standing == {"unread:SLTC:A": NOW + 10, "unread:SLTC:B": None}


async def test_what_grows_graver_or_begins_anew_is_raised_anew(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        await settle_alerts(log, "unread:", [alert("A")], NOW)
        graver = await settle_alerts(log, "unread:", [alert("A", "UNREAD_DO_NOT_LOAD")], NOW + 1)
        assert [one.kind for one in graver.new] == ["UNREAD_DO_NOT_LOAD"]
        await settle_alerts(log, "unread:", [], NOW + 2)
        assert len((await settle_alerts(log, "unread:", [alert("A")], NOW + 3)).new) == 1


async def test_alarms_of_another_kind_are_left_alone_and_old_ends_are_forgotten(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        webhook = alert_for(Party("NVXA"), "webhook:NVXA", "WEBHOOK_DISABLED", NOW, NOW, "…")
        await settle_alerts(log, "webhook:", [webhook], NOW)
        await settle_alerts(log, "unread:", [alert("A")], NOW)
        await settle_alerts(log, "unread:", [], NOW + 1)
        await settle_alerts(log, "unread:", [], NOW + 8 * DAY)
        assert list(await read_alerts(log)) == ["webhook:NVXA"]

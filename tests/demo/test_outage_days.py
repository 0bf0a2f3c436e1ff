"""The three outage days on a real log: every notice of every party."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from router import topics
from router.decide.rules import Rules
from router.demo.outage_days import ACE_POSTED as POSTED
from router.demo.outage_days import (
    CARGO,
    OUTAGE_DAYS,
    PAPER_BILLS,
    PHONED,
    RENUMBERED,
    DemoRouter,
    Episode,
    filed_number,
    paper_number,
)
from router.demo.story import PARTIES
from router.desk.bill_views import read_bill
from router.desk.downtime import read_outages
from router.desk.paper_bills import read_paper_bills
from router.log.interface import Log, Record
from router.log.url import open_log
from router.model.registry_values import party_topic
from tests.checking.replay import check, describe

NoticeKey = tuple[str, str, str | None, str, str]
"""Bill's number, kind, code, cause, status."""


async def played(log: Log, name: str) -> list[Episode]:
    day = OUTAGE_DAYS[name]
    router = DemoRouter(log, day.begins)
    await router.set_up()
    episodes = [episode async for episode in day.play(router)]
    faults = check(await records(log, topics.TIMELINE), await party_records(log), router.rules)
    assert not faults, describe(faults)
    return episodes


async def records(log: Log, *names: str) -> list[Record]:
    return [record async for batch in log.read(names, until_end=True) for record in batch]


async def party_records(log: Log) -> list[Record]:
    return await records(log, *map(party_topic, PARTIES))


def notices(episode: Episode) -> dict[str, Counter[NoticeKey]]:
    """The notices of an episode, by recipient."""
    found: dict[str, Counter[NoticeKey]] = {scac: Counter() for scac in PARTIES}
    for one in episode.notices:
        key = (one["bill_of_lading"], one["kind"], one["disposition_code"], one["cause"], one["status"])
        found[one["recipient"]][key] += 1
    return {scac: counter for scac, counter in found.items() if counter}


def each(scacs: str, *keys: NoticeKey) -> dict[str, Counter[NoticeKey]]:
    return {scac: Counter(keys) for scac in scacs.split()}


def flags(episode: Episode) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in episode.notices:
        found.setdefault(one["bill_of_lading"], set()).update(one["flags"])
    return found


async def statuses(log: Log, rules: Rules) -> dict[str, str]:
    return {bill: (await read_bill(log, rules, bill)).bill.status.status for bill in CARGO}


HOUSE, CO_LOADED, HARBOUR = "HBL000012345", "HBL000067890", "HX5550001"


async def test_ace_down_for_nine_hours_with_phoned_do_not_loads(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        on_file, down, phoned, mistaken, taken_back, back, first, second, over = await played(log, "ace-down")
        assert len(on_file.notices) == 5
        assert [one["state"] for act in (down, back, over) for one in act.feed_status] == [
            "DOWN", "RECOVERING", "RECOVERED",
        ]  # fmt: skip
        assert over.feed_status[0]["ticket"] == "4711"
        assert over.feed_status[0]["late_do_not_loads"] > 0
        assert not any(act.notices for act in (down, back, over))

        held = (HOUSE, "hold", "6H", "OPERATOR", "DO_NOT_LOAD")
        boxed = (CO_LOADED, "hold", None, "LINK", "DO_NOT_LOAD")
        assert notices(phoned) == each("NVXA", held) | each("NVXB", boxed) | each("SLTC HARX OCNX", held, boxed)
        assert flags(phoned)[HOUSE] == {"MANUAL", "FEED_BEHIND"}
        assert notices(mistaken) == each("HARX OCNX", (HARBOUR, "hold", "6H", "OPERATOR", "DO_NOT_LOAD"))
        assert notices(taken_back) == each("HARX OCNX", (HARBOUR, "change", "6H", "OPERATOR", "ON_FILE"))

        confirmed = (HOUSE, "change", "6H", "DISPOSITION", "DO_NOT_LOAD")
        blocked = (CO_LOADED, "hold", "1A", "DISPOSITION", "DO_NOT_LOAD")
        box = (CO_LOADED, "change", None, "LINK", "DO_NOT_LOAD")
        gone = (HARBOUR, "change", "1I", "DISPOSITION", "ON_FILE")
        assert notices(first) == (
            each("NVXA", confirmed)
            | each("NVXB", blocked, box)
            | each("SLTC", confirmed, blocked, box)
            | each("HARX", confirmed, blocked, box, gone)
            | each("OCNX", confirmed, blocked, box)
        )
        assert all("LATE" in found for found in flags(first).values())
        lifted = (HOUSE, "change", "6I", "DISPOSITION", "ON_FILE")
        unboxed = (CO_LOADED, "change", None, "LINK", "HELD")
        earlier = (HARBOUR, "change", "1H", "DISPOSITION", "ON_FILE")
        assert notices(second) == (
            each("NVXA", lifted)
            | each("NVXB", unboxed)
            | each("SLTC", lifted, unboxed)
            | each("HARX", lifted, unboxed, earlier)
            | each("OCNX", lifted, unboxed)
        )


async def test_after_it_each_bill_is_as_after_an_undisturbed_day(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/down.db") as log, open_log(f"sqlite:///{tmp_path}/up.db") as calm:
        await played(log, "ace-down")
        router = DemoRouter(calm, OUTAGE_DAYS["ace-down"].begins)
        await router.set_up()
        await router.ingest("on-file", [one._replace(disposition_code="55", action_at=router.now) for one in POSTED])
        for event in POSTED:
            router.now = event.action_at
            await router.ingest(str(event.action_at), [event])
        await router.route()
        assert await statuses(log, router.rules) == await statuses(calm, router.rules)


async def test_a_cyberattack_with_400_paper_bills_filed_later(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        down, handed_in, phoned, back, filed, matched = await played(log, "cyberattack")
        aboard = "SLTC HARX OCNX"
        for act in (down, back):
            assert {one["recipient"] for one in act.notices} == set(aboard.split())
            assert len(act.notices) == 3
            assert not act.feed_status
        assert not handed_in.notices

        numbers = [paper_number(number)[4:] for number in PHONED]
        assert notices(phoned) == each(
            aboard, *((number, "hold", "6H", "OPERATOR", "DO_NOT_LOAD") for number in numbers)
        )
        same = [filed_number(number)[4:] for number in PHONED if filed_number(number) == paper_number(number)]
        (renumbered,) = {filed_number(number)[4:] for number in PHONED} - set(same)
        in_box = (renumbered, "hold", None, "LINK", "DO_NOT_LOAD")
        assert notices(filed) == each(
            aboard, *((number, "hold", "6H", "REISSUE", "DO_NOT_LOAD") for number in same), in_box
        )
        assert notices(matched) == each(
            aboard,
            (renumbered, "hold", "6H", "REISSUE", "DO_NOT_LOAD"),
            (renumbered, "change", None, "LINK", "DO_NOT_LOAD"),
        )
        old_ids = {one["event_id"] for one in phoned.notices}
        reissued = [one for act in (filed, matched) for one in act.notices if one["cause"] == "REISSUE"]
        assert {event for one in reissued for event in one["covers"]} == old_ids
        assert all("REISSUED" in one["flags"] for one in reissued)

        bills = await read_paper_bills(log, DemoRouter(log, "2026-07-10T08:00").rules)
        assert Counter(bill.state for bill in bills) == {"FILED": PAPER_BILLS - RENUMBERED, "FILED_AS": RENUMBERED}
        (history,) = await read_outages(log)
        assert history.outage.ended_at is not None


async def test_a_party_down_for_three_days(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        on_file, *days, asked, no_more = await played(log, "party-down")
        assert len(on_file.notices) == 5
        assert [len([one for one in day.notices if one["recipient"] == "SLTC"]) for day in days] == [2, 2, 2]
        released = (CO_LOADED, "release", "1C", "DISPOSITION", "RELEASED")
        again = Counter([(HOUSE, "change", "1I", "RESYNC", "ON_FILE")])
        before = (CO_LOADED, "change", "55", "RESYNC", "ON_FILE")
        after = (CO_LOADED, "release", "1C", "RESYNC", "RELEASED")
        told = notices(asked)
        assert told["SLTC"] >= again
        assert told.pop("SLTC") - again in (Counter([released, before]), Counter([released, after]))
        assert told == each("NVXB", released)
        assert no_more.notices == []

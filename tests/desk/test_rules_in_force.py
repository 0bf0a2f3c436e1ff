"""A change of the rules, put in force by name; and routers that were started with different settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router import codec, topics
from router.decide.codes import with_extra
from router.decide.rules import Rules
from router.demo.story import FILES
from router.desk.rules_in_force import apply, changes_between, differing, propose, release_after_hold_text
from router.engine.administration import prepare, read_registry, write_first_rules
from router.engine.worker import Worker, WorkSettings
from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.log.url import open_log
from tests.checking.samples import START
from tests.desk.installation import route

FIRST = Rules()
QUICK = WorkSettings(idle_seconds=0.05)


def after(rules: Rules, **changes: Any) -> Rules:
    return replace(rules, number=rules.number + 1, earlier=(*rules.earlier, rules), **changes)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AdministeredLog]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 2)
        yield opened


async def test_the_first_router_writes_its_rules_and_any_other_follows_them(log: AdministeredLog) -> None:
    await Worker(log, FIRST, QUICK, until_idle=True).run()
    await Worker(log, Rules(release_after_hold="previous"), QUICK, until_idle=True).run()
    registry = await read_registry(log)
    assert [record.settings["release_after_hold"] for record in registry.rules_records] == ["fresh"]


async def test_a_change_is_audited_with_its_reason(log: AdministeredLog) -> None:
    await write_first_rules(log, FIRST, START)
    proposed = after(FIRST, release_after_hold="previous")
    proposal = await propose(log, proposed)
    assert [one.name for one in proposal.changes] == ["release_after_hold"]
    await apply(log, proposed, by="J. Doe", reason="exams")
    entries = [codec.decode(record.value or b"")[1] async for batch in _audit(log) for record in batch]
    assert [(one["by"], one["action"], one["detail"]) for one in entries] == [
        ("J. Doe", "rules apply", "exams: release_after_hold: fresh -> previous")
    ]


async def test_the_usage_is_fixed_once_events_were_routed(log: AdministeredLog) -> None:
    await Worker(log, FIRST, QUICK, until_idle=True).run()
    second = after(FIRST, usage="test")
    await apply(log, second, by="J. Doe", reason="a mistake at first")
    await route(log, FILES / "2-do-not-load.camir")
    third = after(second, usage="production")
    with pytest.raises(UsageError, match="it stays"):
        await propose(log, third)
    with pytest.raises(UsageError, match="it stays"):
        await apply(log, third, by="J. Doe", reason="no tests any more")


def _audit(log: AdministeredLog) -> AsyncIterator[Any]:
    return log.read([topics.AUDIT], until_end=True)


async def test_of_two_changes_at_once_the_second_is_told(log: AdministeredLog) -> None:
    await write_first_rules(log, FIRST, START)
    await apply(log, after(FIRST, release_after_hold="previous"), by="A. Roe", reason="exams")
    with pytest.raises(UsageError, match=r"A\. Roe has changed the rules at the same time"):
        await apply(log, after(FIRST, late_after_minutes=90), by="J. Doe", reason="slow feeds")
    registry = await read_registry(log)
    assert registry.rules is not None
    assert (registry.rules.number, registry.rules.late_after_minutes) == (2, 60)


def test_a_row_of_the_code_table_is_shown_column_by_column() -> None:
    rows = "code,meaning,agency,effect,pair\nZH,our hold,CBP,PLACE,ZI\nZI,its removal,CBP,LIFT,ZH\n"
    first = after(FIRST, codes=with_extra(rows, "ours.csv"))
    second = after(first, codes=with_extra(rows.replace("our hold", "a hold"), "ours.csv"))
    assert changes_between(FIRST, first)[0] == ("disposition_codes.ZH", "none", "PLACE: our hold")
    assert changes_between(first, second) == (("disposition_codes.ZH", "meaning our hold", "meaning a hold"),)
    assert changes_between(second, after(second)) == ()


def test_only_a_given_rule_can_differ_and_the_bundled_table_never_does() -> None:
    other = after(FIRST, release_after_hold="previous", late_after_minutes=90)
    assert [one.name for one in differing(FIRST, other, {"late_after_minutes", "codes"})] == ["late_after_minutes"]
    assert differing(FIRST, FIRST, {"late_after_minutes", "codes"}) == ()


def test_the_choice_is_shown_in_one_line() -> None:
    rules = Rules(release_after_hold_exceptions={"7H": "previous", "1H": "previous", "6H": "fresh"})
    assert release_after_hold_text(rules) == "release_after_hold = fresh, but previous for 1H, 7H"

"""Outages declared, changed and ended; the checklist that is filled in for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.decide.port_areas import load_port_areas
from router.decide.registry import Registry
from router.desk.bill_views import NotFoundError
from router.desk.downtime import OutageView, change, checklist, declare, end, outage_fields, read_outages
from router.engine.administration import prepare
from router.errors import UsageError
from router.feeds.forms import OutageForm
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.registry_values import LateTally, Mode, Outage, PortProcedure
from router.task.outputs import registry_output

NOW = 1_784_030_400_000
AREAS = load_port_areas()
FORM = OutageForm(reason="ACE is down", by="J. Doe", port="2704", since=NOW - MINUTE)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 1)
        yield opened


async def test_an_outage_keeps_its_history(log: Log) -> None:
    declared = await declare(log, FORM, NOW)
    assert (declared.mode, declared.port, declared.feed, declared.carrier) == ("ocean", "2704", None, None)
    changed = await change(log, declared.id[:4], "A. Roe", NOW, ticket="4711", until=NOW + MINUTE)
    ended = await end(log, declared.id, "A. Roe", NOW + MINUTE, NOW)
    assert ended == changed._replace(ended_at=NOW + MINUTE, ended_by="A. Roe")
    assert await read_outages(log) == [OutageView(ended, None)]


async def test_late_events_of_all_runs_are_summed(log: Log) -> None:
    outage = await declare(log, FORM, NOW)
    tallies = [LateTally(outage.id, "one", 5, 1, 2, NOW, NOW), LateTally(outage.id, "two", 3, 0, 1, None, NOW + 9)]
    await log.append([registry_output(tally) for tally in (tallies[0]._replace(events=4), *tallies)])
    (view,) = await read_outages(log)
    assert view.late == LateTally(outage.id, "", 8, 1, 3, NOW, NOW + 9)
    assert outage_fields(view)["late"] == {
        "events": 8, "do_not_loads": 1, "holds": 3, "oldest_posted": "2026-07-14T12:00:00Z",
        "at": "2026-07-14T12:00:00.009Z",
    }  # fmt: skip


async def test_a_change_that_cannot_be_made_is_refused_with_a_message(log: Log) -> None:
    with pytest.raises(NotFoundError, match="outage 00 is unknown: see `snp-router outage list --all`"):
        await end(log, "00", "J. Doe", NOW, NOW)
    with pytest.raises(UsageError, match="until: the expected return is in the past; correct it, or leave it out"):
        await declare(log, FORM.model_copy(update={"until": NOW}), NOW)
    first, _ = await declare(log, FORM, NOW), await declare(log, FORM, NOW)
    with pytest.raises(UsageError, match="2 open outages have an id that begins with '': give more of it"):
        await end(log, "", "J. Doe", NOW, NOW)
    with pytest.raises(UsageError, match="has these values already: give a new reason, ticket or time of return"):
        await change(log, first.id, "J. Doe", NOW, reason="ACE is down")
    with pytest.raises(UsageError, match="cannot end before it began at 2026-07-14T11:59:00Z: give a later time"):
        await end(log, first.id, "J. Doe", NOW - DAY, NOW)
    await end(log, first.id, "J. Doe", NOW, NOW)
    with pytest.raises(UsageError, match="is over already, since 2026-07-14T12:00:00Z"):
        await end(log, first.id, "J. Doe", NOW, NOW)


def test_the_checklist_leaves_unknown_fields_empty() -> None:
    outage = Outage("1", "DECLARED", NOW - 2 * DAY, "ocean", port="2704", carrier="SLTC", reason="x", ticket="4711")
    source, steps = checklist(Registry(), [OutageView(outage, None)], [], "2704", "SLTC", NOW, AREAS)
    assert "section 27" in source
    assert [step.who for step in steps] == [*3 * ["all"], *6 * ["carrier"], "NVOCC", "service centre"]
    assert dict(steps[0].fields) == {"ticket number": "4711", "since": "2026-07-12T12:00:00Z", "expected return": ""}
    assert dict(steps[2].fields) == {"days so far": "2"}
    elsewhere = checklist(Registry(), [OutageView(outage, None)], [], "5301", "SLTC", NOW, AREAS).steps[0]
    assert dict(elsewhere.fields) == {"ticket number": "", "since": "", "expected return": ""}


@pytest.mark.parametrize("mode", ["ocean", "all"])
def test_the_checklist_of_an_outage_of_cbp_shows_what_is_known_and_permits_nothing(mode: Mode) -> None:
    """FAQ section 27 grants lading after 24 hours to a carrier whose own system is down, and to nobody else."""
    outage = Outage("1", "DECLARED", NOW - 2 * DAY, mode, port="2704", reason="ACE is down", ticket="4711")
    truck = outage._replace(id="2", mode="truck", reason="no truck manifests", ticket="4712")
    source, steps = checklist(
        Registry(), [OutageView(truck, None), OutageView(outage, None)], [], "2704", None, NOW, AREAS
    )
    known = {"reason": "ACE is down", "ticket number": "4711", "since": "2026-07-12T12:00:00Z", "expected return": ""}
    assert dict(steps[0].fields) == known | {"days so far": "2"}
    assert "carrier's own outage only" in source
    assert not any("may load" in step.what or "24 hours" in step.what for step in steps)
    assert not any("24 hours" in field.name for step in steps for field in step.fields)


@pytest.mark.parametrize("carrier", [None, "SLTC"])
def test_the_checklist_shows_the_port_s_own_procedure(carrier: str | None) -> None:
    registry = Registry()
    registry.apply(PortProcedure("2709", "Come to the counter.", "+1-310-555-0100"))
    registry.apply(PortProcedure("1703", "E-mail the manifest."))
    (shown,) = [
        step for step in checklist(registry, [], [], "2704", carrier, NOW, AREAS).steps if "own procedure" in step.what
    ]
    assert dict(shown.fields) == {"port 2709": "Come to the counter., +1-310-555-0100"}
    (unknown,) = [
        step
        for step in checklist(Registry(), [], [], "2704", carrier, NOW, AREAS).steps
        if "own procedure" in step.what
    ]
    assert dict(unknown.fields) == {"port 2704": ""}

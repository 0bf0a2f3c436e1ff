"""The judge of the soak (benchmarks/soak) finds each kind of violation in what a run left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.soak.judge import judge
from benchmarks.soak.lives import Lives, sailings
from benchmarks.soak.state import Deleted, RunFolder
from router import topics
from router.log.interface import Record
from router.model.eastern import DAY
from router.task.outputs import timeline_fields
from tests.checking.harness import Harness
from tests.checking.routine import PARTIES
from tests.checking.samples import START

PARTY = "snp.party.NVXA"
Records = list[Record]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records that a run leaves behind, of a router in memory."""
    folder, harness = RunFolder(tmp_path_factory.mktemp("run")), Harness(2, now=START + 130 * DAY)
    harness.roster(*PARTIES, *sailings())
    lives = Lives(seed=5, rate=6.0)
    for batch in range(10):
        told = lives.until(batch * 4.0) if batch < 9 else lives.rest()
        folder.will_feed(batch, told)
        harness.feed(*told)
        harness.pump()
    folder.keep("notices", harness.party_records())
    for topic in (topics.TIMELINE, topics.REGISTRY, topics.WAITING):
        folder.keep(topic, harness.records(topic))
    return folder.path


@pytest.fixture
def folder(left_behind: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(left_behind, tmp_path / "run"))


def first(records: Records, topic: str = PARTY, after: int = 0) -> int:
    """Place of a party's first notice from `after` on."""
    return next(place for place in range(after, len(records)) if records[place].topic == topic)


def drop(records: Records) -> None:
    del records[first(records)]


def double(records: Records) -> None:
    last = max(record.offset for record in records if record.topic == PARTY)
    records.append(records[first(records)]._replace(offset=last + 1))


def misdirect(records: Records) -> None:
    place = first(records)
    records[place] = records[place]._replace(topic="snp.party.NVXB", offset=100_000)


def swap(records: Records) -> None:
    """The order of two notices on one bill."""
    for place, record in enumerate(records):
        for other in range(place + 1, len(records)):
            if record.topic == records[other].topic == PARTY and record.key == records[other].key:
                records[place], records[other] = (
                    records[other]._replace(offset=record.offset),
                    record._replace(offset=records[other].offset),
                )
                return


def withhold(records: Records) -> None:
    """A party's last notice on a bill, as if nobody had decided on it."""
    place = max(place for place, record in enumerate(records) if record.topic == PARTY)
    del records[place]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (drop, "is missing"),
        (double, "doubled"),
        (misdirect, "is for NVXA"),
        (swap, "after a later"),
        (withhold, "last"),
    ],
)
def test_a_changed_run_is_found(folder: RunFolder, change: Callable[[Records], None], found: str) -> None:
    notices = folder.kept("notices")
    change(notices)
    folder.keep("notices", notices)
    assert any(found in violation for violation in judge(folder).violations)


def test_an_event_lost_or_invented_is_found(folder: RunFolder) -> None:
    timeline = folder.kept(topics.TIMELINE)
    place = next(place for place, one in enumerate(timeline) if timeline_fields(one.value)["cause"] == "DISPOSITION")
    lost = timeline.pop(place)
    folder.keep(topics.TIMELINE, timeline)
    assert any(violation.startswith("lost: ") for violation in judge(folder).violations)
    folder.keep(topics.TIMELINE, [*timeline, lost, lost._replace(offset=100_000)])
    assert any("decided 2 times" in violation for violation in judge(folder).violations)
    (folder.path / "fed.jsonl").write_text("")
    assert any(violation.startswith("never fed") for violation in judge(folder).violations)


def test_a_whole_run_is_judged_whole_also_where_a_topic_was_deleted(folder: RunFolder) -> None:
    assert judge(folder).violations == []
    notices = folder.kept("notices")
    own = [record for record in notices if record.topic == PARTY]
    kept, unread, later = own[:20], own[20:22], own[22:]
    # Nothing has a time in a router in memory: only an exact window takes in the notices that went unread.
    folder.keep("deleted-0000", Deleted(PARTY, -1, -1, kept))
    restarted = [record._replace(offset=place) for place, record in enumerate(later)]
    folder.keep("notices", [record for record in notices if record.topic != PARTY] + restarted)
    missing = [violation for violation in judge(folder).violations if "is missing" in violation]
    assert len(missing) == len(unread)
    folder.keep("deleted-0000", Deleted(PARTY, 0, 1, kept))
    verdict = judge(folder)
    assert verdict.violations == []
    assert verdict.figures["gone_with_deleted_topics"] == len(unread)

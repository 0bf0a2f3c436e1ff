"""Certification: before anything in earnest, a fixed set of samples, marked as tests; then the status now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from router import codec, topics
from router.decide import notices, status
from router.decide.audience import CHARTERER, CO_LOADER, FILER, SNP
from router.model.registry_values import Party, RegistryNote
from router.task.certification import SAMPLE_PREFIX, sample_outputs
from tests.checking.harness import Harness
from tests.checking.samples import HOUSE, PARTIES, START, event, sailing

DOCS = Path(__file__).parents[2] / "docs" / "certification.md"
CERTIFYING = Party("SLTC", status="certifying")
TOPIC = CERTIFYING.topic

STATUSES = {status.DO_NOT_LOAD, status.HELD, status.DELETED, status.CLOSED, status.RELEASED,
            status.RELEASE_UNCONFIRMED, status.PARTIALLY_RELEASED, status.MOVEMENT_AUTHORISED,
            status.NOT_RELEASED, status.ON_FILE, None}  # fmt: skip
CAUSES = {notices.DISPOSITION, notices.FILING, notices.LINK, notices.OPERATOR, notices.CATCH_UP, notices.RESYNC,
          notices.REISSUE, notices.NO_LONGER_NOTIFIED}  # fmt: skip
HOLD_KINDS = {"CBP", "BOX", "MANUAL", "UNREADABLE", "UNKNOWN_CODE"}


@pytest.fixture
def harness() -> Harness:
    return Harness(2, now=START)


def samples(scac: str = "SLTC") -> list[dict[str, object]]:
    decoded = (codec.decode(output.value or b"") for _, output in sample_outputs(scac, 7))
    return [{"kind": kind, **fields} for kind, fields in decoded]


def sample_ids(harness: Harness) -> list[str]:
    return [one["notice_id"] for one in harness.notices("SLTC") if one["notice_id"].startswith(SAMPLE_PREFIX)]


def test_the_samples_cover_every_kind_status_and_cause() -> None:
    found = samples()
    assert {one["kind"] for one in found} == {"hold", "change", "release"}
    assert {one["status"] for one in found} == STATUSES
    assert {one["cause"] for one in found} == CAUSES
    assert {role for one in found for role in one["roles"]} == {FILER, SNP, CHARTERER, CO_LOADER}  # type: ignore[attr-defined]
    assert {hold["kind"] for one in found for hold in one["holds"]} == HOLD_KINDS  # type: ignore[attr-defined]


@pytest.mark.parametrize(("scac", "filer"), [("SLTC", "SLTC"), ("AB", "AB"), ("Z999", "ZZZP"), ("2704ABC01", "ZZZP")])
def test_each_sample_is_marked_as_a_test_and_made_out_to_the_party(scac: str, filer: str) -> None:
    for (_, output), fields in zip(sample_outputs(scac, 7), samples(scac), strict=True):
        assert output.topic == f"{topics.PARTY_PREFIX}{scac}"
        assert "TEST" in fields["flags"]  # type: ignore[operator]
        assert fields["recipient"] == scac
    assert {one["scac"] for one in samples(scac) if one["roles"] == (FILER,)} == {filer}


def test_the_set_is_the_same_everywhere_and_its_ids_come_from_the_registry_s_record() -> None:
    assert list(sample_outputs("SLTC", 7)) == list(sample_outputs("SLTC", 7))
    assert len({one["notice_id"] for one in samples()}) == len(samples())


def test_the_documented_set_is_the_one_that_is_sent() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\S+)` \| `(\w+)` \| (\S+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    sent = zip((sample for sample, _ in sample_outputs("SLTC", 7)), samples(), strict=True)
    assert rows == [
        (
            str(number),
            sample.name,
            str(fields["kind"]).capitalize(),
            f"`{fields['status']}`".replace("`None`", "–"),
            sample.shows,
        )
        for number, (sample, fields) in enumerate(sent, 1)
    ]


def test_who_is_being_certified_gets_the_samples_once_and_nothing_live(harness: Harness) -> None:
    harness.roster(*PARTIES, CERTIFYING, sailing())
    harness.feed(event("6H", snps=("SLTC",)))
    harness.pump()
    assert len(sample_ids(harness)) == len(harness.notices("SLTC")) == len(samples())
    assert harness.latest(topics.WAITING)[HOUSE]["parties"] == ("SLTC",)


def test_no_restart_and_no_change_of_its_contact_sends_them_again(harness: Harness) -> None:
    """A restored registry holds only the last record of each party: what was sent is known from the position."""
    harness.roster(CERTIFYING)
    harness.pump()
    harness.roster(CERTIFYING._replace(contact_phone="+1-555-0110"))
    for partition in range(harness.partitions):
        harness.restart(partition)
    harness.pump()
    assert len(sample_ids(harness)) == len(samples())


def test_a_transaction_that_is_thrown_away_loses_none(harness: Harness) -> None:
    harness.roster(CERTIFYING)
    thrown_away = harness.abandon(0)
    harness.pump()
    assert [output.value for output in thrown_away if output.topic == TOPIC] == [
        record.value for record in harness.records(TOPIC)
    ]


def test_certified_anew_means_new_samples(harness: Harness) -> None:
    for party in (CERTIFYING, CERTIFYING._replace(status="live"), CERTIFYING):
        harness.roster(party)
        harness.pump()
    assert len(set(sample_ids(harness))) == 2 * len(samples())


def test_a_missing_topic_gets_them_when_it_is_there(harness: Harness) -> None:
    harness.register(RegistryNote("missing", TOPIC, START))
    harness.roster(CERTIFYING)
    harness.pump()
    assert not harness.notices("SLTC")
    harness.register(RegistryNote("back", TOPIC, START))
    harness.pump()
    assert len(sample_ids(harness)) == len(samples())


def test_the_tap_opens_with_the_status_now_of_its_open_bills(harness: Harness) -> None:
    harness.roster(*PARTIES, CERTIFYING, sailing())
    harness.feed(event("6H", snps=("SLTC",)))
    harness.pump()
    harness.roster(CERTIFYING._replace(status="live"))
    harness.pump()
    (live,) = harness.notices("SLTC")[len(samples()) :]
    assert (live["kind"], live["cause"], live["status"]) == ("hold", notices.CATCH_UP, status.DO_NOT_LOAD)
    assert "TEST" not in live["flags"]

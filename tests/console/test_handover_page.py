"""The console's pages for the next shift and for what waits, on the demo's installation."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from tests.cli.conftest import BILL
from tests.console.desk import desk
from tests.console.installation import Client
from tests.desk.test_bulk_deeds import life, route

SINCE = "/handover?since=2026-07-01T00:00Z&until=2100-01-01T00:00Z"


@pytest.fixture
def reader(client: Client) -> Client:
    client.log_in()
    return client


def test_every_section_is_counted_and_a_do_not_load_names_who_has_not_read_it(reader: Client) -> None:
    page = reader.get(SINCE).text
    assert "3 new do-not-loads, 0 standing" in page
    for title in ("Holds placed", "Holds ended", "Releases", "Outages", "Waiting now",
                  "Dead letters that are open", "Deeds by hand", "Calls"):  # fmt: skip
        assert f">{title}: " in page
    assert BILL in page
    assert "no production_group and no webhook_url is registered" in page  # unknown, not read


def test_the_export_has_as_many_rows_as_the_sections(reader: Client) -> None:
    page, text = reader.get(SINCE).text, reader.get(SINCE.replace("/handover", "/handover.csv")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    found = re.search(r"All ([0-9,]+) rows as CSV", page)
    assert found is not None
    assert len(rows) == int(found[1].replace(",", "")) > 0
    assert {"release", "hold_placed"} <= {row["section"] for row in rows}


def test_a_time_that_is_none_keeps_the_form_and_names_what_to_write(reader: Client) -> None:
    answer = reader.get("/handover?since=half+past+ten")
    assert answer.status_code == 422
    assert "is not a time: write" in answer.text
    assert 'value="half past ten"' in answer.text


def test_without_a_time_it_is_the_last_twelve_hours(reader: Client) -> None:
    assert reader.get("/handover").status_code == 200


async def test_what_waits_is_grouped_by_what_is_missing_with_the_remedy(tmp_path: Path) -> None:
    async with desk(tmp_path) as (log, anna):
        await route(log, *(event for number in ("HBL1", "HBL2") for event in life(number, "55", "6H")))
        page = await anna.shown("must not be loaded", "/waiting")
        groups = re.findall(r'<section class="missing" aria-labelledby="([A-Z_]+)">', page)
        assert "PARTY_UNKNOWN" in groups
        assert "<code>snp-router import parties FILE</code>" in page
        listed = await anna.shown("2 waiting", "/waiting?text=PARTY_UNKNOWN")
        assert "NVXAHBL1" in listed

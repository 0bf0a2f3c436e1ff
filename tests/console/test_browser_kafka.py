"""The same pages with a Kafka log, in one test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from router.demo.story import FILES
from tests.console.installation import Installation
from tests.console.test_browser import do, hold, ingest, log_in
from tests.desk.test_bill_index import BILL
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def installation(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ThreadPoolExecutor() as elsewhere:  # the browser's event loop runs in this thread
        elsewhere.submit(asyncio.run, wipe(kafka)).result()
    made = Installation(tmp_path_factory.mktemp("kafka-installation"), f"kafka://{kafka}")
    made.environment |= {"SNP_KAFKA__REPLICATION_FACTOR": "1", "SNP_PARTITIONS": "2"}
    made.command("topics", "create")
    for table in ("parties", "sailings", "filings"):
        made.command("import", table, str(FILES / f"{table}.csv"))
    made.command("ingest", *map(str, sorted(FILES.glob("[1-7]-*"))))
    made.command("run", "--until-idle")
    made.add_users()
    made.start_console()
    made.start("run")
    yield made
    made.stop()


def test_the_pages_work_on_kafka(page: Page, installation: Installation) -> None:
    log_in(page)
    ingest(installation, "night.jsonl", hold("NVXALIVE01", "2026-07-30T12:00:00Z"))
    expect(page.locator("#notices tr", has_text="NVXALIVE01")).to_contain_text("HOLD SLTC")

    page.get_by_label("Bill, container, entry, vessel").fill("CSQU3054383")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=BILL).click()
    expect(page.locator("main")).to_contain_text("RELEASED")

    unknown = hold("NVXALIVE04", "2026-07-30T12:20:00Z", disposition_code="0?")
    ingest(installation, "unknown.jsonl", unknown)
    page.goto("/")
    expect(page.locator("#notices")).to_contain_text("NVXALIVE04")
    page.get_by_role("link", name="Dead letters", exact=True).click()
    page.locator("tr", has_text="NVXALIVE04").get_by_role("link").first.click()
    page.get_by_label("Corrected").fill(json.dumps(unknown | {"disposition_code": "1A"}))
    do(page, "Retry")
    expect(page.get_by_role("heading", name="Done: Read the dead letter again")).to_be_visible()

    page.goto(f"/bills/{BILL}")
    page.locator("input[name=code]").fill("6H")
    page.get_by_label("Who at CBP").first.fill("duty officer")
    do(page, "Enter")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => t.includes('Must not be loaded'))")

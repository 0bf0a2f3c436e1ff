from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.installation import Client, Installation, Unavailable, add_outage, chromium, demo_into, in_ci


@pytest.fixture(scope="session")
def demo_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = demo_into(tmp_path_factory.mktemp("demo"))
    asyncio.run(add_outage(file))
    return file


@pytest.fixture(scope="module")
def installation(demo_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all tests of a module."""
    folder = tmp_path_factory.mktemp("installation")
    shutil.copy(demo_log, folder / "snp.db")
    made = Installation(folder)
    made.add_users()
    made.start_console()
    yield made
    made.stop()


@pytest.fixture
def client(installation: Installation) -> Client:
    return Client(installation.address)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A real browser for one module; without one, tests are skipped with the reason, or fail under CI=true.

    While it is open, its event loop runs in this thread, so the module can't have coroutines as tests.
    """
    try:
        executable = chromium()
    except Unavailable as reason:
        (pytest.fail if in_ci() else pytest.skip)(str(reason))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(chrome: Browser, installation: Installation) -> Iterator[Page]:
    """A window without cookies; errors that the browser reports fail the test."""
    context = chrome.new_context(base_url=installation.address, viewport={"width": 1300, "height": 900})
    context.set_default_timeout(20_000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []

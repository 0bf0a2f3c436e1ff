"""A URL picks the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.errors import UsageError
from router.log.url import open_log
from router.topics import TopicSpec


async def test_three_slashes_and_a_name_are_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_log("sqlite:///snp.db") as log:
        await log.create_topics([TopicSpec("t", 2)])

    assert (tmp_path / "snp.db").exists()
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        assert await log.topics() == {"t": 2}
        assert log.url == f"sqlite:///{tmp_path}/snp.db"


@pytest.mark.parametrize("url", ["", "snp.db", "sqlite:snp.db", "sqlite:///", "postgres://x/y", "kafka://"])
async def test_anything_else_is_answered_with_both_forms(url: str) -> None:
    with pytest.raises(UsageError, match=r"sqlite:///.*kafka://host:port"):
        async with open_log(url):
            pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"busy_secs": 1}, "busy_secs: .*not permitted.* There are .*busy_timeout_seconds"),
        ({"busy_timeout_seconds": "ten"}, "busy_timeout_seconds: .*valid number"),
        ({"busy_timeout_seconds": 0}, "busy_timeout_seconds: .*greater than 0"),
    ],
)
async def test_settings_are_checked(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        async with open_log(f"sqlite:///{tmp_path}/snp.db", settings):
            pass

"""The clock of the console's machine is set forward and back. Nothing is shown as known later than it is, and no alarm
is raised or put off by it."""

from __future__ import annotations

import time

import pytest

from router.console import backend
from router.model.eastern import HOUR, MILLISECONDS
from tests.console.test_unknown import Scene, log, route, scene, until

__all__ = ["log", "scene"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Milliseconds that the clock is ahead: the last of the list."""
    ahead = [0]
    monkeypatch.setattr(backend, "now_milliseconds", lambda: round(time.time() * MILLISECONDS) + ahead[-1])
    monkeypatch.setattr(backend, "REFRESH_SECONDS", 0.05)
    return ahead


@pytest.mark.parametrize("jump", [24 * HOUR, -24 * HOUR], ids=["ahead", "back"])
async def test_what_is_known_is_as_of_no_later_than_the_clock_shows(scene: Scene, clock: list[int], jump: int) -> None:
    await route(scene.backend.log)
    async with scene.running():
        for ahead in (jump, 0):
            clock.append(ahead)
            await until(lambda: abs((scene.backend.as_of or 0) - backend.now_milliseconds()) < 5 * MILLISECONDS)
            await until(lambda: (scene.follower.as_of or 0) <= backend.now_milliseconds())
            assert scene.backend.unread_unknown is None
            assert scene.backend.silent == []
            assert max(scene.backend.commits.ages().values()) < 60, "the router has committed, whatever the clock says"

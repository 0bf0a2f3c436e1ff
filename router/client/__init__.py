"""For parties: their notices as typed values. `async for notice in notices("kafka://…", party="SLTC", group="…")`."""

from router.client.notices import Notices, notices
from router.client.values import Change, Hold, Notice, Release, StandingHold

__all__ = ["Change", "Hold", "Notice", "Notices", "Release", "StandingHold", "notices"]

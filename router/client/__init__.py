"""A party's notices as typed values: `async for notice in notices("kafka://…", party="SLTC", group="…")`."""

from router.client.notice_stream import NoticeStream, notices
from router.client.received_notice import Change, Container, Hold, HoldInForce, ReceivedNotice, Release

__all__ = ["Change", "Container", "Hold", "HoldInForce", "NoticeStream", "ReceivedNotice", "Release", "notices"]

"""The notices that a duty officer wants to see on the page, by party, kind, vessel, port."""

from __future__ import annotations

from typing import NamedTuple

from router.desk.index_records import IndexedEntry


class NoticeFilter(NamedTuple):
    """The notices that one browser shows; None means any."""

    party: str | None = None
    kind: str | None = None
    vessel: str | None = None
    port: str | None = None
    do_not_load: bool = False

    def matches(self, entry: IndexedEntry) -> bool:
        """False for an entry without recipients, which is in its bill's history only."""
        notified = entry.fields["notified"]
        if not notified:
            return False
        if self.party and not any(one["recipient"] == self.party for one in notified):
            return False
        if self.kind and not any(one["kind"] == self.kind for one in notified):
            return False
        if self.vessel and self.vessel not in (entry.vessel_name or "").upper():
            return False
        if self.port and entry.port != self.port:
            return False
        return not self.do_not_load or entry.fields["do_not_load"]

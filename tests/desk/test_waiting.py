"""What waits is listed: do-not-loads first, then the oldest; what no longer waits is gone."""

from __future__ import annotations

from pathlib import Path

from router import codec, topics
from router.desk.waiting import read_waiting
from router.engine.administration import prepare
from router.log.interface import Output
from router.log.url import open_log


def waiting(number: str, since: int, *, do_not_load: bool = False) -> Output:
    fields = {"scac": "NVXA", "bill_of_lading": number, "reasons": ["NO_SAILING"], "parties": [], "status": "HELD"}
    value = codec.encode("waiting", fields | {"do_not_load": do_not_load, "since": since})
    return Output(topics.WAITING, f"NVXA{number}".encode(), value)


async def test_do_not_loads_are_on_top_then_the_oldest(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 4)
        rows = [waiting("B1", 3), waiting("B2", 1), waiting("B3", 9, do_not_load=True), waiting("B4", 0)]
        await log.append([*rows, waiting("B3", 8, do_not_load=True), waiting("B4", 0)._replace(value=None)])
        assert [row["bill_of_lading"] for row in await read_waiting(log)] == ["B3", "B2", "B1"]

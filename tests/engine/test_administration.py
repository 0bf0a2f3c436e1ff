"""A damaged registry record is reported with its place and the remedy, and stops no reader."""

from __future__ import annotations

import asyncio
from pathlib import Path

from router import topics
from router.console.backend import Follower
from router.console.live_stream import LiveStream
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex
from router.engine.administration import import_parties, prepare, read_registry, registry_problems
from router.engine.worker import Worker
from router.log.interface import Output
from router.log.url import open_log
from router.model.registry_values import Party


async def test_every_reader_skips_a_damaged_record(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 2)
        await import_parties(log, [Party("NVXA", contact_phone="1"), Party("SLTC", contact_phone="1")])
        await log.append([Output(topics.REGISTRY, b"party:SLTC", b"\0\0damaged")])
        await import_parties(log, [Party("THRD", contact_phone="1")])
        await Worker(log, Rules(), until_idle=True).run()
        await Worker(log, Rules(), until_idle=True).run()
        registry = await read_registry(log)
        assert {"NVXA", "THRD"} <= registry.parties.keys()
        (problem,) = registry_problems(registry)
        assert problem.startswith("snp.registry, partition 0, offset ")
        assert "`snp-router import parties`" in problem
        follower = Follower(log, Rules(), await index_in(tmp_path), LiveStream())
        following = asyncio.create_task(follower.run())
        async with asyncio.timeout(10):
            await follower.caught_up.wait()
            while "THRD" not in follower.registry.parties:
                await asyncio.sleep(0.01)
        assert not following.done()
        following.cancel()
        await import_parties(log, [Party("SLTC", contact_phone="1")])
        assert registry_problems(await read_registry(log)) == []


async def index_in(folder: Path) -> BillIndex:
    index = BillIndex(folder / "console.db")
    await index.open()
    return index

"""Reading partitions through to an end that is known when one begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from aiokafka import TopicPartition

from router.log.interface import Record
from router.log.kafka.reader import CommittedReader

_NEXT_LOOK_SECONDS = 0.02
"""The last thing before an end may be a transaction's marker, which brings no record: so look again soon."""


async def scan(
    reader: CommittedReader, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[Record]]:
    """Every committed record from `begins` up to `ends`, per partition in order, in batches as they come."""
    open_ends = {partition: end for partition, end in ends.items() if end > begins[partition]}
    if not open_ends:
        return
    reader.assign({partition: begins[partition] for partition in open_ends})
    while open_ends:
        fetched = await reader.fetch(_NEXT_LOOK_SECONDS)
        for partition, records in fetched.items():
            if partition in open_ends:
                yield _before(records, open_ends[partition])
        for partition in list(open_ends):
            if await reader.position(partition) >= open_ends[partition]:
                del open_ends[partition]
                reader.pause(partition)


def _before(records: list[Record], end: int) -> list[Record]:
    return records if records[-1].offset < end else [record for record in records if record.offset < end]

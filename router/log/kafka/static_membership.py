"""Static membership of the group, so that no two routers with one instance id drive each other out in turn.

Kafka takes whoever joins with a `group_instance_id` last for its owner. The earlier member is unknown then, and its
client joins again, which drives out the later one, without end. So each member tells its process beside its
subscription. A router looks before it joins, and does not while another one that may live has its instance id. If two
come at the same moment, the one that was driven out gives up.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import structlog
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from router.errors import InstanceIdTaken
from router.log.processes import described, process_lives, this_process

MARGIN_SECONDS: Final = 2.0
"""After a session's time-out. The brokers have forgotten a dead member by then."""
LOOK_SECONDS: Final = 0.25

_UUID_SIZE: Final = len(str(uuid.UUID(int=0)))

_log = structlog.get_logger(__name__)


class AssignorOfProcesses(RangePartitionAssignor):  # type: ignore[misc]
    """The range assignor; each member tells its process."""

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), this_process().encode())


class StaticMembership:
    """The membership of one `group_instance_id`. Its methods raise TaskRetry and FatalLogError, too."""

    def __init__(
        self,
        group: str,
        instance_id: str,
        session_seconds: float,
        members: Callable[[str], Awaitable[Mapping[str, bytes]]],
    ) -> None:
        """`members` returns a group's members by id, each with the metadata of its protocol."""
        self._group = group
        self._instance_id = instance_id
        self._session_seconds = session_seconds
        self._members = members

    async def await_free(self) -> None:
        """Return once no other process that may live has the instance id. Raises InstanceIdTaken if another has it for
        longer than the brokers keep a dead one."""
        deadline = time.monotonic() + self._session_seconds + MARGIN_SECONDS
        is_logged = False
        while (process := await self.other()) is not None:
            if time.monotonic() > deadline:
                raise self.taken_by(process)
            if not is_logged:
                _log.info(
                    "waiting_for_instance_id", group=self._group, instance_id=self._instance_id, owner=_named(process)
                )
                is_logged = True
            await asyncio.sleep(LOOK_SECONDS)

    async def other(self) -> str | None:
        """Return the process that has the instance id, if it is another and may live; empty if it doesn't tell."""
        for member_id, metadata in (await self._members(self._group)).items():
            if member_id[:-_UUID_SIZE] == f"{self._instance_id}-":
                process = ConsumerProtocolMemberMetadata.decode(metadata).user_data.decode() if metadata else ""
                return process if process != this_process() and process_lives(process) else None
        return None

    def taken_by(self, process: str) -> InstanceIdTaken:
        return InstanceIdTaken(
            f"another router has the group_instance_id {self._instance_id}: {_named(process)}. Give each router one of "
            "its own, or none (setting kafka.group_instance_id), or end that router before this one starts"
        )


def _named(process: str) -> str:
    return described(process) if process else "it does not tell which process it is"

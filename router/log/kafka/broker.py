"""Which Kafka a broker is. It does not say; but each version understands requests that the one before did not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from aiokafka.protocol.admin import ApiVersionRequest

from router.log.interface import Finding

MARKS: Final[tuple[tuple[str, int, int], ...]] = (
    ("4.4", 28, 6),  # TxnOffsetCommit
    ("4.3", 35, 5),  # DescribeLogDirs
    ("4.2", 88, 0),  # StreamsGroupHeartbeat
    ("4.1", 76, 1),  # ShareGroupHeartbeat
    ("4.0", 26, 5),  # EndTxn
    ("3.9", 80, 0),  # AddRaftVoter
)
"""Version, and the number and version of a request that it is the first to understand. Read from running brokers of
3.9.2, 4.0.1, 4.1.1, 4.2.2, 4.3.1 and 4.4.0. A version still to come counts as the newest here."""

OLDEST: Final = "3.9"
LOSES_COMMITS_ALONE: Final = ("4.3", "4.4")
"""A single broker of these, killed and back, takes itself for gone and undoes transactions that it had acknowledged."""


class BrokerVersions(NamedTuple):
    """The version of each broker by its id; None: older than all we know."""

    of: dict[int, str | None]

    @classmethod
    async def asked(cls, admin: Any, brokers: Iterable[int]) -> BrokerVersions:
        """Ask each broker through an aiokafka admin client."""
        versions = {}
        for broker in brokers:
            answer = await admin._send_request_to_node(broker, ApiVersionRequest())
            versions[broker] = version_of({key: newest for key, _, newest in answer.api_versions})
        return cls(versions)


def version_of(requests: dict[int, int]) -> str | None:
    """The version whose mark is among `requests` (number to newest version understood)."""
    for version, number, newest in MARKS:
        if requests.get(number, -1) >= newest:
            return version
    return None


def version_findings(versions: BrokerVersions, brokers: int) -> list[Finding]:
    found = []
    for broker, version in sorted(versions.of.items()):
        if version is None:
            found.append(Finding(f"broker {broker}", f"older than Kafka {OLDEST}", f"Kafka {OLDEST} or newer"))
        elif version in LOSES_COMMITS_ALONE and brokers == 1:
            text = (
                "another version, or three brokers: this one, alone, loses acknowledged transactions when it is killed"
            )
            found.append(Finding(f"broker {broker}", f"Kafka {version} and the only one", text))
    return found

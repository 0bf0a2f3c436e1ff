"""Kafka's requests that aiokafka does not have yet: users' passwords, writing quotas, many rights at once.

The first three are tables for aiokafka's own protocol layer, after the message definitions in Kafka's source
(`DescribeUserScramCredentials`, `AlterUserScramCredentials`, `AlterClientQuotas`, version 0 of each, which brokers of
3.9 to 4.4 understand). So there is one client, one set of security settings, and no further dependency: confluent-kafka
has no quotas, and kafka-python has them in private parts only.
"""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

TEXT = String("utf-8")
SHORT = CompactString("utf-8")
TAGS = ("tags", TaggedFields)
NO_TAGS: dict[int, bytes] = {}


class DescribeUserScramCredentialsResponse_v0(Response):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", SHORT),
        (
            "results",
            CompactArray(
                ("user", SHORT),
                ("error_code", Int16),
                ("error_message", SHORT),
                ("credential_infos", CompactArray(("mechanism", Int8), ("iterations", Int32), TAGS)),
                TAGS,
            ),
        ),
        TAGS,
    )


class DescribeUserScramCredentialsRequest_v0(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 50
    API_VERSION = 0
    RESPONSE_TYPE = DescribeUserScramCredentialsResponse_v0
    SCHEMA = Schema(("users", CompactArray(("name", SHORT), TAGS)), TAGS)


class DescribeUserScramCredentialsRequest(Request[DescribeUserScramCredentialsRequest_v0]):  # type: ignore[misc]
    """Of all users: an empty list means that. So does None, but a broker that has to refuse it fails (4.1.1) and never
    answers. Brokers show mechanism and iterations, never what a password could be guessed from."""

    API_KEY = 50

    def build(self, struct: Any) -> Any:
        return struct([], NO_TAGS)


class AlterUserScramCredentialsResponse_v0(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", CompactArray(("user", SHORT), ("error_code", Int16), ("error_message", SHORT), TAGS)),
        TAGS,
    )


class AlterUserScramCredentialsRequest_v0(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = AlterUserScramCredentialsResponse_v0
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", SHORT), ("mechanism", Int8), TAGS)),
        (
            "upsertions",
            CompactArray(
                ("name", SHORT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                TAGS,
            ),
        ),
        TAGS,
    )


class AlterUserScramCredentialsRequest(Request[AlterUserScramCredentialsRequest_v0]):  # type: ignore[misc]
    """`deletions`: (user, mechanism). `upsertions`: (user, mechanism, iterations, salt, salted password): the password
    itself does not leave the process."""

    API_KEY = 51

    def __init__(self, deletions: list[tuple[str, int]], upsertions: list[tuple[str, int, int, bytes, bytes]]) -> None:
        self._deletions = deletions
        self._upsertions = upsertions

    def build(self, struct: Any) -> Any:
        tagged = [[(*entry, NO_TAGS) for entry in entries] for entries in (self._deletions, self._upsertions)]
        return struct(*tagged, NO_TAGS)


ENTITY = ("entity", Array(("entity_type", TEXT), ("entity_name", TEXT)))


class AlterClientQuotasResponse_v0(Response):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", TEXT), ENTITY)),
    )


class AlterClientQuotasRequest_v0(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterClientQuotasResponse_v0
    SCHEMA = Schema(
        ("entries", Array(ENTITY, ("ops", Array(("key", TEXT), ("value", Float64), ("remove", Boolean))))),
        ("validate_only", Boolean),
    )


class AlterClientQuotasRequest(Request[AlterClientQuotasRequest_v0]):  # type: ignore[misc]
    """`entries`: ([(kind, name)], [(limit's name, its value, whether to take it away)])."""

    API_KEY = 49

    def __init__(self, entries: list[tuple[list[tuple[str, str | None]], list[tuple[str, float, bool]]]]) -> None:
        self._entries = entries

    def build(self, struct: Any) -> Any:
        return struct(self._entries, False)


RightFields = tuple[int, str, int, str, str, int, int]
"""Kind of resource, its name, pattern, principal, host, operation, permission: numbers as in Kafka's protocol."""


class GrantRightsRequest(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """aiokafka's own takes one right."""

    API_KEY = 30

    def __init__(self, rights: list[RightFields]) -> None:
        self._rights = rights

    def build(self, struct: Any) -> Any:
        return struct(self._rights)


class WithdrawRightsRequest(Request[DeleteAclsRequest_v1]):  # type: ignore[misc]
    API_KEY = 31

    def __init__(self, rights: list[RightFields]) -> None:
        self._rights = rights

    def build(self, struct: Any) -> Any:
        return struct(self._rights)

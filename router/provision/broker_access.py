"""Access on the brokers: users, rights and quotas read and written. The only code that asks brokers for them.

aiokafka lacks requests for users' passwords, for writing quotas and for many rights at once. They are below, as tables
for its own protocol layer, so that there is one client, one set of security settings and no further dependency:
confluent-kafka has no quotas, and kafka-python has them in private parts only.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol import admin as protocol
from aiokafka.protocol import types
from aiokafka.protocol.api import Request, RequestStruct, Response

from router.errors import FatalLogError
from router.log.kafka import KafkaSettings
from router.log.kafka.failures import ended_within, step
from router.provision.access_rights import BrokerAccess, Entity, Quota, Right

SCRAM_SHA_512: Final = 2
ITERATIONS: Final = 4096
"""Kafka's minimum. More would slow each login, and our long random passwords need no more."""
SALT_BYTES: Final = 32

RESOURCES: Final = {2: "topic", 3: "group", 4: "cluster", 5: "transactional id", 6: "delegation token", 7: "user"}
PATTERNS: Final = {3: "literal", 4: "prefixed"}
_WORDS: Final = (
    "All Read Write Create Delete Alter Describe ClusterAction DescribeConfigs AlterConfigs IdempotentWrite "
    "CreateTokens DescribeTokens TwoPhaseCommit"
)
OPERATIONS: Final = dict(enumerate(_WORDS.split(), 2))
PERMISSIONS: Final = {2: "Deny", 3: "Allow"}
"""Numbers of Kafka's protocol."""
_NUMBER: Final = {
    word: number for table in (RESOURCES, PATTERNS, OPERATIONS, PERMISSIONS) for number, word in table.items()
}
_ANY: Final = 1
_NO_AUTHORIZER: Final = 54
_POLL_SECONDS: Final = 0.05


class AccessAdmin:
    """Administers access. Every change is idempotent and returns once all brokers have applied it.

    Every method may raise TaskRetry and FatalLogError.
    """

    def __init__(self, bootstrap: str, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: Any = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap, client_id="snp-router-provision", **settings.connection()
        )

    @classmethod
    @asynccontextmanager
    async def opened(cls, bootstrap: str, settings: KafkaSettings) -> Any:
        admin = cls(bootstrap, settings)
        try:
            async with admin._step("connecting"):
                await admin._client.start()
            yield admin
        finally:
            await ended_within(settings.close_deadline_seconds, admin._client.close())

    async def found(self) -> BrokerAccess:
        """Return all access as the first broker has it."""
        return await self._found_by((await self._brokers())[0])

    async def make_user(self, user: str, password: str) -> None:
        """Make a user, or replace its password; the old one is refused at the next login."""
        salt = secrets.token_bytes(SALT_BYTES)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
        request = _alter_users([], [(user, SCRAM_SHA_512, ITERATIONS, salt, salted)])
        await self._change(f"making the user {user}", request, lambda found: user in found.users)

    async def remove_users(self, users: Sequence[str]) -> None:
        if users:
            request = _alter_users([(user, SCRAM_SHA_512) for user in users], [])
            await self._change(f"removing {len(users)} users", request, lambda found: found.users.isdisjoint(users))

    async def grant(self, rights: Sequence[Right]) -> None:
        if rights:
            request = LayoutRequest(protocol.CreateAclsRequest_v1, [_fields(right) for right in rights])
            await self._change(f"granting {len(rights)} rights", request, lambda found: found.rights.issuperset(rights))

    async def withdraw(self, rights: Sequence[Right]) -> None:
        if rights:
            request = LayoutRequest(protocol.DeleteAclsRequest_v1, [_fields(right) for right in rights])
            await self._change(
                f"withdrawing {len(rights)} rights", request, lambda found: found.rights.isdisjoint(rights)
            )

    async def set_quotas(self, changes: Sequence[tuple[Entity, Mapping[str, float | None]]]) -> None:
        """Set limits for each entity; None removes one."""
        if changes:
            entries = [
                (
                    [(kind, name or None) for kind, name in entity.parts],
                    [(key, limit or 0.0, limit is None) for key, limit in limits.items()],
                )
                for entity, limits in changes
            ]
            await self._change(
                f"setting quotas for {len(changes)} users",
                LayoutRequest(ALTER_QUOTAS, entries, False),
                lambda found: all(_is_set(found.quotas, *change) for change in changes),
            )

    async def _change(self, doing: str, request: LayoutRequest, is_applied: Callable[[BrokerAccess], bool]) -> None:
        """Request a change, then wait until every broker has applied it: they answer as soon as it is decided."""
        async with self._step(doing):
            _check_each(await self._ask(request))
        async with self._step(f"{doing}: waiting until all brokers have done so"):
            for broker in await self._brokers():
                while not is_applied(await self._found_by(broker)):  # noqa: ASYNC110 - brokers send no event
                    await asyncio.sleep(_POLL_SECONDS)

    async def _found_by(self, broker: int) -> BrokerAccess:
        async with self._step("reading users, rights and quotas"):
            return BrokerAccess(await self._users(broker), await self._rights(broker), await self._quotas(broker))

    async def _users(self, broker: int) -> frozenset[str]:
        answer = await self._ask(describe_users(), broker)
        _check([(answer.error_code, answer.error_message)])
        return frozenset(
            user
            for user, _, _, credentials, _ in answer.results
            if any(mechanism == SCRAM_SHA_512 for mechanism, _, _ in credentials)
        )

    async def _rights(self, broker: int) -> frozenset[Right]:
        answer = await self._ask(protocol.DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY), broker)
        if answer.error_code == _NO_AUTHORIZER:
            raise FatalLogError(
                "the brokers have no authorizer, so everybody may read everything: set authorizer.class.name "
                "(see docs/access.md)"
            )
        _check([(answer.error_code, answer.error_message)])
        return frozenset(
            Right(
                principal,
                _word(OPERATIONS, operation),
                _word(RESOURCES, resource),
                name,
                _word(PATTERNS, pattern) == "prefixed",
                host,
                _word(PERMISSIONS, permission),
            )
            for resource, name, pattern, entries in answer.resources
            for principal, host, operation, permission in entries
        )

    async def _quotas(self, broker: int) -> dict[Entity, Quota]:
        answer = await self._ask(protocol.DescribeClientQuotasRequest([], False), broker)
        _check([(answer.error_code, answer.error_message)])
        return {
            Entity(tuple(sorted((kind, name or "") for kind, name in entity))): dict(limits)
            for entity, limits in answer.entries
        }

    async def _brokers(self) -> list[int]:
        async with self._step("listing the brokers"):
            return [broker["node_id"] for broker in (await self._client.describe_cluster())["brokers"]]

    def _ask(self, request: Any, broker: int | None = None) -> Awaitable[Any]:
        """Ask one broker, by default any; it forwards a change to the controller."""
        node = self._client._client.get_random_node() if broker is None else broker
        asked: Awaitable[Any] = self._client._send_request_to_node(node, request)
        return asked

    def _step(self, doing: str) -> Any:
        return step(doing, self._settings.start_deadline_seconds)


def _fields(right: Right) -> tuple[int, str, int, str, str, int, int]:
    """Kind of resource, its name, pattern, principal, host, operation, permission, by Kafka's numbers."""
    pattern = _NUMBER["prefixed" if right.prefixed else "literal"]
    kind = (_NUMBER[right.resource], right.name, pattern)
    return (*kind, right.principal, right.host, _NUMBER[right.operation], _NUMBER[right.permission])


def _word(table: Mapping[int, str], number: int) -> str:
    return table.get(number, f"unknown ({number})")


def _check_each(answer: Any) -> None:
    """Raise the first error in the answer to a change: in its list of entries, which follows the throttle time."""
    columns = answer.SCHEMA.fields[1].array_of.names
    code, text = columns.index("error_code"), columns.index("error_message")
    _check((entry[code], entry[text]) for entry in getattr(answer, answer.SCHEMA.names[1]))


def _check(answers: Iterable[tuple[int, str | None]]) -> None:
    for code, text in answers:
        if code:
            raise kafka.for_code(code)(text or "")


def _is_set(quotas: Mapping[Entity, Quota], entity: Entity, limits: Mapping[str, float | None]) -> bool:
    found = quotas.get(entity, {})
    return all(found.get(key) == limit for key, limit in limits.items())


# Requests that aiokafka lacks, after the message definitions in Kafka's source (`DescribeUserScramCredentials`,
# `AlterUserScramCredentials`, `AlterClientQuotas`); brokers of 3.9 to 4.4 understand version 0 of each.

TEXT: Final = types.String("utf-8")
SHORT: Final = types.CompactString("utf-8")
TAGS: Final = ("tags", types.TaggedFields)
NO_TAGS: Final[dict[int, bytes]] = {}
THROTTLED: Final = ("throttle_time_ms", types.Int32)
ERROR: Final = (("error_code", types.Int16), ("error_message", SHORT))
CREDENTIALS: Final = types.CompactArray(("mechanism", types.Int8), ("iterations", types.Int32), TAGS)
DELETIONS: Final = types.CompactArray(("name", SHORT), ("mechanism", types.Int8), TAGS)
UPSERTIONS: Final = types.CompactArray(
    ("name", SHORT),
    ("mechanism", types.Int8),
    ("iterations", types.Int32),
    ("salt", types.CompactBytes),
    ("salted_password", types.CompactBytes),
    TAGS,
)
ENTITY: Final = ("entity", types.Array(("entity_type", TEXT), ("entity_name", TEXT)))
LIMITS: Final = types.Array(("key", TEXT), ("value", types.Float64), ("remove", types.Boolean))


def _layout(key: int, asked: Sequence[Any], answered: Sequence[Any], *, flexible: bool) -> Any:
    """Make the class of a request of version 0 from its fields and its answer's. `flexible`: its header has tags."""
    common = {"API_KEY": key, "API_VERSION": 0}
    answer = type("Answer", (Response,), common | {"SCHEMA": types.Schema(*answered)})
    own = {"RESPONSE_TYPE": answer, "FLEXIBLE_VERSION": flexible, "SCHEMA": types.Schema(*asked)}
    return type("Layout", (RequestStruct,), common | own)


DESCRIBE_USERS: Final = _layout(
    50,
    [("users", types.CompactArray(("name", SHORT), TAGS)), TAGS],
    [THROTTLED, *ERROR,
     ("results", types.CompactArray(("user", SHORT), *ERROR, ("credential_infos", CREDENTIALS), TAGS)), TAGS],
    flexible=True,
)  # fmt: skip
ALTER_USERS: Final = _layout(
    51,
    [("deletions", DELETIONS), ("upsertions", UPSERTIONS), TAGS],
    [THROTTLED, ("results", types.CompactArray(("user", SHORT), *ERROR, TAGS)), TAGS],
    flexible=True,
)
ALTER_QUOTAS: Final = _layout(
    49,
    [("entries", types.Array(ENTITY, ("ops", LIMITS))), ("validate_only", types.Boolean)],
    [THROTTLED, ("entries", types.Array(("error_code", types.Int16), ("error_message", TEXT), ENTITY))],
    flexible=False,
)


class LayoutRequest(Request[RequestStruct]):  # type: ignore[misc]
    """A request with the one layout given."""

    API_KEY = -1  # aiokafka demands one of the class; the instance's is that of its layout

    def __init__(self, layout: Any, *fields: Any) -> None:
        self.API_KEY, self._CLASSES, self._fields = layout.API_KEY, (layout,), fields

    def build(self, layout: Any) -> Any:
        return layout(*self._fields)


def describe_users() -> LayoutRequest:
    """Request the mechanisms of all users, by an empty list; brokers show nothing that helps guess a password.

    None would mean all users too, but a broker that must refuse it fails (4.1.1) and never answers.
    """
    return LayoutRequest(DESCRIBE_USERS, [], NO_TAGS)


def _alter_users(
    deletions: list[tuple[str, int]], upsertions: list[tuple[str, int, int, bytes, bytes]]
) -> LayoutRequest:
    """`deletions`: (user, mechanism). `upsertions`: (user, mechanism, iterations, salt, salted password); the password
    itself does not leave the process."""
    tagged = [[(*entry, NO_TAGS) for entry in entries] for entries in (deletions, upsertions)]
    return LayoutRequest(ALTER_USERS, *tagged, NO_TAGS)

"""Users, rights and quotas on the brokers: read, written, and waited for. The only code that asks brokers for them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DescribeAclsRequest, DescribeClientQuotasRequest

from router.errors import FatalLogError
from router.log.kafka import KafkaSettings
from router.log.kafka.failures import ended_within, step
from router.provision.requests import (
    AlterClientQuotasRequest,
    AlterUserScramCredentialsRequest,
    DescribeUserScramCredentialsRequest,
    GrantRightsRequest,
    RightFields,
    WithdrawRightsRequest,
)
from router.provision.rights import Entity, Found, Quota, Right

SCRAM_SHA_512: Final = 2
ITERATIONS: Final = 4096
"""Kafka's least. More would slow down each login; our passwords are random and long, so nobody gets through them."""
SALT_BYTES: Final = 32

RESOURCES: Final = {2: "topic", 3: "group", 4: "cluster", 5: "transactional id", 6: "delegation token", 7: "user"}
PATTERNS: Final = {3: "literal", 4: "prefixed"}
OPERATIONS: Final = {
    2: "All",
    3: "Read",
    4: "Write",
    5: "Create",
    6: "Delete",
    7: "Alter",
    8: "Describe",
    9: "ClusterAction",
    10: "DescribeConfigs",
    11: "AlterConfigs",
    12: "IdempotentWrite",
    13: "CreateTokens",
    14: "DescribeTokens",
    15: "TwoPhaseCommit",
}
PERMISSIONS: Final = {2: "Deny", 3: "Allow"}
_NUMBER: Final = {
    word: number for table in (RESOURCES, PATTERNS, OPERATIONS, PERMISSIONS) for number, word in table.items()
}
_ANY: Final = 1
_NO_AUTHORIZER: Final = 54
_APPLIED_LOOK_SECONDS: Final = 0.05


class AccessAdmin:
    """The administrative side of access. Every method may raise TaskRetry and FatalLogError; done again, it does no
    harm. On return every broker has applied what was asked."""

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

    async def found(self) -> Found:
        """As the first broker has it."""
        return await self._found_by((await self._brokers())[0])

    async def make_user(self, user: str, password: str) -> None:
        """Or give it another password: the old one is refused at the next login."""
        salt = secrets.token_bytes(SALT_BYTES)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
        request = AlterUserScramCredentialsRequest([], [(user, SCRAM_SHA_512, ITERATIONS, salt, salted)])
        async with self._step(f"making the user {user}"):
            _check((code, text) for _, code, text, _ in (await self._ask(request)).results)
        await self._until(lambda found: user in found.users, f"the user {user}")

    async def remove_users(self, users: Sequence[str]) -> None:
        if not users:
            return
        request = AlterUserScramCredentialsRequest([(user, SCRAM_SHA_512) for user in users], [])
        async with self._step(f"removing {len(users)} users"):
            _check((code, text) for _, code, text, _ in (await self._ask(request)).results)
        await self._until(lambda found: found.users.isdisjoint(users), "the users' removal")

    async def grant(self, rights: Sequence[Right]) -> None:
        if not rights:
            return
        async with self._step(f"granting {len(rights)} rights"):
            _check((await self._ask(GrantRightsRequest([_fields(right) for right in rights]))).creation_responses)
        await self._until(lambda found: found.rights.issuperset(rights), "the rights granted")

    async def withdraw(self, rights: Sequence[Right]) -> None:
        if not rights:
            return
        async with self._step(f"withdrawing {len(rights)} rights"):
            answer = await self._ask(WithdrawRightsRequest([_fields(right) for right in rights]))
            _check((code, text) for code, text, _ in answer.filter_responses)
        await self._until(lambda found: found.rights.isdisjoint(rights), "the rights withdrawn")

    async def set_quotas(self, changes: Sequence[tuple[Entity, Mapping[str, float | None]]]) -> None:
        """Limits to set for each entity; None takes one away."""
        if not changes:
            return
        entries = [
            (
                [(kind, name or None) for kind, name in entity.parts],
                [(key, limit or 0.0, limit is None) for key, limit in limits.items()],
            )
            for entity, limits in changes
        ]
        async with self._step(f"setting quotas for {len(changes)}"):
            _check((code, text) for code, text, _ in (await self._ask(AlterClientQuotasRequest(entries))).entries)
        await self._until(lambda found: all(_is_set(found.quotas, *change) for change in changes), "the quotas")

    async def _found_by(self, broker: int) -> Found:
        async with self._step("asking who may do what"):
            return Found(await self._users(broker), await self._rights(broker), await self._quotas(broker))

    async def _users(self, broker: int) -> frozenset[str]:
        answer = await self._ask(DescribeUserScramCredentialsRequest(), broker)
        _check([(answer.error_code, answer.error_message)])
        return frozenset(
            user
            for user, _, _, credentials, _ in answer.results
            if any(mechanism == SCRAM_SHA_512 for mechanism, _, _ in credentials)
        )

    async def _rights(self, broker: int) -> frozenset[Right]:
        answer = await self._ask(DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY), broker)
        if answer.error_code == _NO_AUTHORIZER:
            raise FatalLogError(
                "the brokers have no authorizer: everybody may read everything. Set authorizer.class.name "
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
        answer = await self._ask(DescribeClientQuotasRequest([], False), broker)
        _check([(answer.error_code, answer.error_message)])
        return {
            Entity(tuple(sorted((kind, name or "") for kind, name in entity))): dict(limits)
            for entity, limits in answer.entries
        }

    async def _until(self, is_applied: Callable[[Found], bool], what: str) -> None:
        """Brokers answer when the change is decided; each applies it a moment later."""
        async with self._step(f"waiting until all brokers know {what}"):
            for broker in await self._brokers():
                while not is_applied(await self._found_by(broker)):  # noqa: ASYNC110 - no one tells
                    await asyncio.sleep(_APPLIED_LOOK_SECONDS)

    async def _brokers(self) -> list[int]:
        async with self._step("asking which brokers there are"):
            return [broker["node_id"] for broker in (await self._client.describe_cluster())["brokers"]]

    def _ask(self, request: Any, broker: int | None = None) -> Awaitable[Any]:
        """One broker; a change it passes on to the controller by itself."""
        node = self._client._client.get_random_node() if broker is None else broker
        asked: Awaitable[Any] = self._client._send_request_to_node(node, request)
        return asked

    def _step(self, doing: str) -> Any:
        return step(doing, self._settings.start_deadline_seconds)


def _fields(right: Right) -> RightFields:
    pattern = _NUMBER["prefixed" if right.prefixed else "literal"]
    kind = (_NUMBER[right.resource], right.name, pattern)
    return (*kind, right.principal, right.host, _NUMBER[right.operation], _NUMBER[right.permission])


def _word(table: Mapping[int, str], number: int) -> str:
    return table.get(number, f"unknown ({number})")


def _check(answers: Iterable[tuple[int, str | None]]) -> None:
    for code, text in answers:
        if code:
            raise kafka.for_code(code)(text or "")


def _is_set(quotas: Mapping[Entity, Quota], entity: Entity, limits: Mapping[str, float | None]) -> bool:
    there = quotas.get(entity, {})
    return all(there.get(key) == limit for key, limit in limits.items())

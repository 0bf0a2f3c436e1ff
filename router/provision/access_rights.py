"""Settings of provisioning: who there is besides the parties, and how much a party may ask of the brokers.

The words of access: a right, a quota, and what the brokers were found to allow.

What access there has to be, from the parties registered. Pure; every right that anyone has stands in this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from router import topics
from router.model.registry_values import Party

PARTY_USERS: Final = "snp."
"""Users whose names begin so are parties': provisioning makes and removes them."""


class ProvisionSettings(BaseModel):
    """Limits are per broker: Kafka has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    router_user: str = "snp-router"
    feed_users: tuple[str, ...] = ("snp-feed",)
    """They run `ingest`."""
    webhook_users: tuple[str, ...] = ("snp-webhooks",)
    """They run `webhooks`: they read what every party is told."""
    operator_users: tuple[str, ...] = ("snp-operator",)
    """They read everything, and write what the commands of operators write."""
    other_users: tuple[str, ...] = ()
    """Known, but none of ours: their rights and quotas are left alone, and not shown as drift."""

    party_read_bytes_per_second: int = Field(default=2_000_000, ge=10_000)
    party_write_bytes_per_second: int = Field(default=50_000, ge=1_000)
    party_request_percent: float = Field(default=20.0, gt=0)
    """Of one thread's time: of a broker with 8 network and 8 request threads there are 1600."""

    @model_validator(mode="after")
    def _one_user_one_duty(self) -> Self:
        named = Counter([*self._services, *self.other_users])
        if twice := [name for name, count in named.items() if count > 1]:
            raise ValueError(f"{', '.join(twice)}: named twice; each user has one duty, and rights that go with it")
        if wrong := [name for name in named if name.startswith(PARTY_USERS) or not name]:
            raise ValueError(f"{', '.join(wrong)}: names that begin with {PARTY_USERS} are the parties'")
        return self

    @property
    def services(self) -> frozenset[str]:
        """Our own users."""
        return frozenset(self._services)

    @property
    def _services(self) -> tuple[str, ...]:
        return self.router_user, *self.feed_users, *self.webhook_users, *self.operator_users

    def party_quota(self) -> dict[str, float]:
        return {
            "consumer_byte_rate": float(self.party_read_bytes_per_second),
            "producer_byte_rate": float(self.party_write_bytes_per_second),
            "request_percentage": self.party_request_percent,
        }


ANY_HOST: Final = "*"
ALLOW: Final = "Allow"
WILDCARD: Final = "*"
"""As a literal name: every resource of its kind."""

Quota = Mapping[str, float]
"""Limits of one user on each broker, by Kafka's names for them."""


class Right(NamedTuple):
    """One access control entry, in Kafka's words; what it is on may be one name or all names that begin so."""

    principal: str
    """`User:` and the name."""
    operation: str
    """`Read`, `Write`, `Describe`, …"""
    resource: str
    """`topic`, `group`, `transactional id` or `cluster`."""
    name: str
    prefixed: bool = False
    host: str = ANY_HOST
    permission: str = ALLOW

    def __str__(self) -> str:
        where = "" if self.host == ANY_HOST else f" from {self.host}"
        name = f"{self.name}*" if self.prefixed else self.name
        return f"{self.principal}{where}: {self.permission} {self.operation} on {self.resource} {name}"


class Entity(NamedTuple):
    """Whom a quota limits. An empty name stands for everyone who has none of their own."""

    parts: tuple[tuple[str, str], ...]
    """Kind (`user`, `client-id`, `ip`) and name, sorted."""

    @classmethod
    def of_user(cls, user: str) -> Entity:
        return cls((("user", user),))

    @property
    def user(self) -> str | None:
        return dict(self.parts).get("user")

    def __str__(self) -> str:
        return ", ".join(f"{kind} {name or '(default)'}" for kind, name in self.parts)


class Found(NamedTuple):
    """What brokers have of users, rights and quotas, whoever made them."""

    users: frozenset[str]
    """Those with a SCRAM-SHA-512 password."""
    rights: frozenset[Right]
    quotas: Mapping[Entity, Quota]


def user_principal(user: str) -> str:
    return f"User:{user}"


ROUTER_GROUP: Final = "snp-router"
WEBHOOK_GROUP: Final = "snp-router-webhooks"
OWN_TRANSACTIONS: Final = "snp-router-"
"""Ids of tasks are `<group>-<partition>`; of single appends `snp-router-append-` and a random part."""
APPENDS: Final = "snp-router-append-"
OURS: Final = ("snp.", "cbp.")
"""All our topics begin so."""

WITH_ACCESS: Final = frozenset({"certifying", "live"})
"""A party that is suspended keeps its topic and all that is in it; one that is external never had any."""


class Declared(NamedTuple):
    users: frozenset[str]
    rights: frozenset[Right]
    quotas: Mapping[Entity, Quota]


def declare(parties: Iterable[Party], settings: ProvisionSettings) -> Declared:
    """Users, rights and quotas that there have to be: these, and of ours no others."""
    with_access = [party for party in parties if party.status in WITH_ACCESS]
    rights = {right for party in with_access for right in party_rights(party)}
    rights.update(router_rights(settings.router_user))
    rights.update(right for user in settings.feed_users for right in feed_rights(user))
    rights.update(right for user in settings.webhook_users for right in webhook_rights(user))
    rights.update(right for user in settings.operator_users for right in operator_rights(user))
    return Declared(
        users=settings.services | {party.user for party in with_access},
        rights=frozenset(rights),
        quotas={Entity.of_user(party.user): settings.party_quota() for party in with_access},
    )


def party_rights(party: Party) -> Iterator[Right]:
    """One topic to read, one to write, and groups of its own to do it in."""
    who = user_principal(party.user)
    yield Right(who, "Read", "topic", party.topic)
    yield Right(who, "Describe", "topic", party.topic)
    yield Right(who, "Read", "group", party.group_prefix, prefixed=True)
    yield Right(who, "Read", "topic", topics.FEED_STATUS)
    yield Right(who, "Write", "topic", topics.REQUEST_PREFIX + party.scac)


def router_rights(user: str) -> Iterator[Right]:
    who = user_principal(user)
    yield Right(who, "Write", "topic", "snp.", prefixed=True)
    for name in (*topics.INPUTS, *topics.STATE):
        yield Right(who, "Read", "topic", name)
    yield Right(who, "Read", "topic", topics.REQUEST_PREFIX, prefixed=True)
    yield Right(who, "Write", "transactional id", OWN_TRANSACTIONS, prefixed=True)
    yield Right(who, "Read", "group", ROUTER_GROUP)
    yield Right(who, "Describe", "group", PARTY_USERS, prefixed=True)
    yield from _may_look_at_settings(who)


def feed_rights(user: str) -> Iterator[Right]:
    """Events and filings in, what could not be read, and when which feed was heard; nothing of what comes out."""
    who = user_principal(user)
    yield Right(who, "Write", "topic", "cbp.", prefixed=True)
    yield Right(who, "Write", "topic", topics.DEAD_LETTERS)
    yield Right(who, "Read", "topic", topics.REGISTRY)
    yield Right(who, "Write", "topic", topics.REGISTRY)
    yield Right(who, "Write", "transactional id", APPENDS, prefixed=True)
    yield from _may_see_our_topics(who)
    yield from _may_look_at_settings(who)


def webhook_rights(user: str) -> Iterator[Right]:
    """What parties without Kafka are told goes out; how far it is, and that one was given up, is written."""
    who = user_principal(user)
    yield Right(who, "Read", "topic", topics.PARTY_PREFIX, prefixed=True)
    yield Right(who, "Read", "topic", topics.REGISTRY)
    for name in (topics.WEBHOOKS, topics.ALERTS):
        yield Right(who, "Read", "topic", name)
        yield Right(who, "Write", "topic", name)
    yield Right(who, "Read", "group", WEBHOOK_GROUP)
    yield Right(who, "Write", "transactional id", f"{WEBHOOK_GROUP}-", prefixed=True)
    yield from _may_see_our_topics(who)
    yield from _may_look_at_settings(who)


def operator_rights(user: str) -> Iterator[Right]:
    """Reads everything. Writes what operators' commands do: an import, a word on a bill, a dead letter, an alert."""
    who = user_principal(user)
    for prefix in OURS:
        yield Right(who, "Read", "topic", prefix, prefixed=True)
    yield Right(who, "Describe", "group", "snp", prefixed=True)
    yield Right(who, "Write", "topic", "cbp.", prefixed=True)
    for name in (topics.REGISTRY, topics.DEAD_LETTERS, topics.ALERTS, topics.WEBHOOKS, topics.AUDIT):
        yield Right(who, "Write", "topic", name)
    for prefix in (topics.PARTY_PREFIX, topics.REQUEST_PREFIX):
        yield Right(who, "Create", "topic", prefix, prefixed=True)
    yield Right(who, "Write", "transactional id", APPENDS, prefixed=True)
    yield from _may_look_at_settings(who)


def _may_see_our_topics(who: str) -> Iterator[Right]:
    """That they are there; not the parties' own, whose names say who they are."""
    for spec in topics.topic_specs(1):
        yield Right(who, "Describe", "topic", spec.name)


def _may_look_at_settings(who: str) -> Iterator[Right]:
    """So that what is wrong with a topic is said at start. Without it they would have to start unsure."""
    for prefix in OURS:
        yield Right(who, "DescribeConfigs", "topic", prefix, prefixed=True)
    yield Right(who, "DescribeConfigs", "cluster", "kafka-cluster")

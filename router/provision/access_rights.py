"""Declared access: the users, rights and quotas that the brokers should have. Pure; every right is granted here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from router import topics
from router.model.registry_values import Party

PARTY_USERS: Final = "snp."
"""Prefix of parties' users: provisioning makes and removes them."""
ROUTER_GROUP: Final = "snp-router"
WEBHOOK_GROUP: Final = "snp-router-webhooks"
OWN_TRANSACTIONS: Final = "snp-router-"
"""Prefix of transactional ids: `<group>-<partition>` of tasks, `APPENDS` and a random part of single appends."""
APPENDS: Final = "snp-router-append-"
OWN_TOPICS: Final = ("snp.", "cbp.")
"""Prefixes of all our topics."""
ANY_HOST: Final = "*"
ALLOW: Final = "Allow"
WILDCARD: Final = "*"
"""Kafka's literal name for every resource of a kind."""

WITH_ACCESS: Final = frozenset({"certifying", "live"})
"""Statuses with access. A suspended party keeps its topic and the notices in it; an external one never had any."""

Quota = Mapping[str, float]
"""Limits of one user on each broker, by Kafka's names for them."""


class ProvisionSettings(BaseModel):
    """The table `[provision]`: users besides the parties', and limits of parties. Kafka's limits are per broker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    router_user: str = "snp-router"
    feed_users: tuple[str, ...] = ("snp-feed",)
    """They run `ingest`."""
    listener_users: tuple[str, ...] = ("snp-listener",)
    """They run `listen`."""
    webhook_users: tuple[str, ...] = ("snp-webhooks",)
    """They run `webhooks` and read every party's notices."""
    operator_users: tuple[str, ...] = ("snp-operator",)
    """They read everything, and write what operators' commands write."""
    other_users: tuple[str, ...] = ()
    """Known users that are not ours: their rights and quotas are left alone and are no drift."""

    party_read_bytes_per_second: int = Field(default=2_000_000, ge=10_000)
    party_write_bytes_per_second: int = Field(default=50_000, ge=1_000)
    party_request_percent: float = Field(default=20.0, gt=0)
    """Percent of one thread's time; a broker with 8 network and 8 request threads has 1600."""

    @model_validator(mode="after")
    def _one_user_one_duty(self) -> Self:
        named = Counter([*self._services, *self.other_users])
        if twice := [name for name, count in named.items() if count > 1]:
            raise ValueError(f"{', '.join(twice)}: named twice; give each duty its own user, since their rights differ")
        if wrong := [name for name in named if name.startswith(PARTY_USERS) or not name]:
            raise ValueError(
                f"{', '.join(map(repr, wrong))}: give a name that does not begin with {PARTY_USERS}, as parties' do"
            )
        return self

    @property
    def services(self) -> frozenset[str]:
        """Our own users."""
        return frozenset(self._services)

    @property
    def _services(self) -> tuple[str, ...]:
        return (
            self.router_user,
            *self.feed_users,
            *self.listener_users,
            *self.webhook_users,
            *self.operator_users,
        )

    def party_quota(self) -> dict[str, float]:
        return {
            "consumer_byte_rate": float(self.party_read_bytes_per_second),
            "producer_byte_rate": float(self.party_write_bytes_per_second),
            "request_percentage": self.party_request_percent,
        }


class Right(NamedTuple):
    """One access control entry, in Kafka's words, on one resource or on all whose names begin with `name`."""

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
    """The entity that a quota limits. An empty name covers everyone without a quota of their own."""

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


class BrokerAccess(NamedTuple):
    """Users, rights and quotas, as declared or as found on the brokers."""

    users: frozenset[str]
    """On the brokers: those with a SCRAM-SHA-512 password."""
    rights: frozenset[Right]
    quotas: Mapping[Entity, Quota]


def declare(parties: Iterable[Party], settings: ProvisionSettings) -> BrokerAccess:
    """Declare the access of our users; they should have no other."""
    with_access = [party for party in parties if party.status in WITH_ACCESS]
    return BrokerAccess(
        users=settings.services | {party.user for party in with_access},
        rights=frozenset().union(
            *map(party_rights, with_access),
            router_rights(settings.router_user),
            *map(feed_rights, settings.feed_users + settings.listener_users),
            *map(webhook_rights, settings.webhook_users),
            *map(operator_rights, settings.operator_users),
        ),
        quotas={Entity.of_user(party.user): settings.party_quota() for party in with_access},
    )


def user_principal(user: str) -> str:
    return f"User:{user}"


def party_rights(party: Party) -> frozenset[Right]:
    """Rights to read its topic and the feed status, in groups of its own, and to write its request topic."""
    return _rights(
        party.user,
        ("Read", "topic", party.topic),
        ("Describe", "topic", party.topic),
        ("Read", "group", f"{party.group_prefix}*"),
        ("Read", "topic", topics.FEED_STATUS),
        ("Write", "topic", topics.REQUEST_PREFIX + party.id),
    )


def router_rights(user: str) -> frozenset[Right]:
    return _rights(
        user,
        ("Write", "topic", "snp.*"),
        *(("Read", "topic", name) for name in (*topics.INPUTS, *topics.STATE)),
        ("Read", "topic", topics.AUDIT),
        ("Read", "topic", f"{topics.REQUEST_PREFIX}*"),
        ("Write", "transactional id", f"{OWN_TRANSACTIONS}*"),
        ("Read", "group", ROUTER_GROUP),
        ("Describe", "group", f"{PARTY_USERS}*"),
        *DESCRIBE_CONFIGS,
    )


def feed_rights(user: str) -> frozenset[Right]:
    """Rights to write events, filings, dead letters and the feed's activity; none to read the router's outputs."""
    return _rights(
        user,
        ("Write", "topic", "cbp.*"),
        ("Write", "topic", topics.DEAD_LETTERS),
        ("Read", "topic", topics.REGISTRY),
        ("Write", "topic", topics.REGISTRY),
        ("Write", "transactional id", f"{APPENDS}*"),
        *DESCRIBE_OWN_TOPICS,
        *DESCRIBE_CONFIGS,
    )


def webhook_rights(user: str) -> frozenset[Right]:
    """Rights to read all parties' topics, and to write progress and alerts."""
    return _rights(
        user,
        ("Read", "topic", f"{topics.PARTY_PREFIX}*"),
        ("Read", "topic", topics.REGISTRY),
        *((operation, "topic", name) for operation in ("Read", "Write") for name in (topics.WEBHOOKS, topics.ALERTS)),
        ("Read", "group", WEBHOOK_GROUP),
        ("Write", "transactional id", f"{WEBHOOK_GROUP}-*"),
        *DESCRIBE_OWN_TOPICS,
        *DESCRIBE_CONFIGS,
    )


def operator_rights(user: str) -> frozenset[Right]:
    """Rights to read everything, and to write what operators' commands write."""
    written = (topics.REGISTRY, topics.DEAD_LETTERS, topics.ALERTS, topics.WEBHOOKS, topics.AUDIT)
    return _rights(
        user,
        *(("Read", "topic", f"{prefix}*") for prefix in OWN_TOPICS),
        ("Describe", "group", "snp*"),
        ("Write", "topic", "cbp.*"),
        *(("Write", "topic", name) for name in written),
        *(("Create", "topic", f"{prefix}*") for prefix in (topics.PARTY_PREFIX, topics.REQUEST_PREFIX)),
        ("Write", "transactional id", f"{APPENDS}*"),
        *DESCRIBE_CONFIGS,
    )


Grant = tuple[str, str, str]
"""Operation, kind of resource and name; a name that ends in `*` is a prefix."""

DESCRIBE_OWN_TOPICS: Final[tuple[Grant, ...]] = tuple(("Describe", "topic", s.name) for s in topics.topic_specs(1))
"""Without the parties' topics: their names reveal the parties."""
DESCRIBE_CONFIGS: Final[tuple[Grant, ...]] = (
    *(("DescribeConfigs", "topic", f"{prefix}*") for prefix in OWN_TOPICS),
    ("DescribeConfigs", "cluster", "kafka-cluster"),
)
"""For the check at start; without them, wrong settings of topics and brokers would go unnoticed."""


def _rights(user: str, *grants: Grant) -> frozenset[Right]:
    who = user_principal(user)
    return frozenset(
        Right(who, operation, resource, name.removesuffix("*"), prefixed=name.endswith("*"))
        for operation, resource, name in grants
    )

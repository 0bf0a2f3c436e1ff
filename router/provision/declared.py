"""What access there has to be, from the parties registered. Pure; every right that anyone has stands in this file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from router import topics
from router.model.registry_values import Party
from router.provision.rights import Entity, Quota, Right, user_principal
from router.provision.settings import PARTY_USERS, ProvisionSettings

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

"""Drift between the access declared and the access found, in both directions. Pure.

Drift of our own users is corrected, and so are others' rights that cover nothing but our topics, groups and ids.
Wider rights and denials were made by somebody for a reason unknown to us: they are reported, and left to people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from router.model.registry_values import Party
from router.provision.access_rights import (
    ALLOW,
    OWN_TOPICS,
    OWN_TRANSACTIONS,
    PARTY_USERS,
    ROUTER_GROUP,
    WILDCARD,
    BrokerAccess,
    Entity,
    ProvisionSettings,
    Quota,
    Right,
    user_principal,
)
from router.topics import PARTY_PREFIX, REQUEST_PREFIX

NAMESPACE: Final[Mapping[str, tuple[str, ...]]] = {
    "topic": OWN_TOPICS,
    "group": (PARTY_USERS, ROUTER_GROUP),
    "transactional id": (OWN_TRANSACTIONS,),
}
"""Prefixes of our names, by kind of resource."""


class Drift(NamedTuple):
    """Differences from what is declared; empty if there are none."""

    topics: tuple[str, ...] = ()
    """Topics that differ from their specification, each with the difference."""
    users_missing: tuple[str, ...] = ()
    users_surplus: tuple[str, ...] = ()
    rights_missing: tuple[Right, ...] = ()
    rights_surplus: tuple[Right, ...] = ()
    quotas: tuple[tuple[Entity, Mapping[str, float | None]], ...] = ()
    """Limits to set; None removes one."""
    by_hand: tuple[str, ...] = ()
    """Undeclared access that `apply` leaves alone, each with what to do."""

    @property
    def lines(self) -> list[str]:
        """Lines for people: `+` to be made, `-` removed, `~` changed by `apply`; `!` needs a person."""
        return [
            *(f"~ topic {topic}" for topic in self.topics),
            *(f"+ user {user}" for user in self.users_missing),
            *(f"- user {user}" for user in self.users_surplus),
            *(f"+ right {right}" for right in self.rights_missing),
            *(f"- right {right}" for right in self.rights_surplus),
            *(f"~ quota of {entity}: {_limits(limits)}" for entity, limits in self.quotas),
            *(f"! {text}" for text in self.by_hand),
        ]


def _limits(limits: Mapping[str, float | None]) -> str:
    return ", ".join(f"{key} {'none' if limit is None else f'{limit:g}'}" for key, limit in limits.items())


def compare(
    declared: BrokerAccess,
    found: BrokerAccess,
    settings: ProvisionSettings,
    logged_in_as: str | None,
    undeclared: Collection[str],
) -> Drift:
    """Compare declared and found access.

    The administrator `logged_in_as` and the users in `settings.other_users` are left alone. `undeclared` are topics
    named like a party's that belong to no registered party.
    """
    left_alone = frozenset({*settings.other_users, *([logged_in_as] if logged_in_as else [])})
    users = found.users - declared.users - left_alone
    rights = sorted(right for right in found.rights - declared.rights if _user(right) not in left_alone)
    surplus = [right for right in rights if right.permission == ALLOW and _is_ours(right, declared)]
    return Drift(
        users_missing=tuple(sorted(declared.users - found.users)),
        users_surplus=tuple(sorted(user for user in users if user.startswith(PARTY_USERS))),
        rights_missing=tuple(sorted(declared.rights - found.rights)),
        rights_surplus=tuple(surplus),
        quotas=tuple(_quota_changes(declared, found, left_alone)),
        by_hand=(
            *_undeclared_users(users),
            *(_advice(right) for right in rights if right not in surplus and _concerns_us(right, declared)),
            *_default_quotas(found.quotas),
            *(
                f"topic {name}: no registered party has it. It may hold notices, so it is never deleted here: register "
                "its party (`external` is enough), or delete the topic by hand"
                for name in sorted(undeclared)
            ),
        ),
    )


def undeclared_topics(names: Collection[str], parties: Collection[Party]) -> list[str]:
    """Topics named like a party's that belong to no registered party, whatever its status."""
    registered = {name for party in parties for name in (party.topic, REQUEST_PREFIX + party.id)}
    return [name for name in names if name.startswith((PARTY_PREFIX, REQUEST_PREFIX)) and name not in registered]


def all_access_of(found: BrokerAccess, party: Party) -> Drift:
    """All access of a party as surplus, to cut it off."""
    who, entity = user_principal(party.user), Entity.of_user(party.user)
    return Drift(
        users_surplus=(party.user,) if party.user in found.users else (),
        rights_surplus=tuple(
            sorted(right for right in found.rights if right.principal == who and right.permission == ALLOW)
        ),
        quotas=((entity, dict.fromkeys(found.quotas[entity])),) if entity in found.quotas else (),
    )


def _user(right: Right) -> str:
    return right.principal.removeprefix("User:")


def _is_our_user(user: str, declared: BrokerAccess) -> bool:
    return user in declared.users or user.startswith(PARTY_USERS)


def _is_ours(right: Right, declared: BrokerAccess) -> bool:
    """True for a right of our users, or one on nothing but our names."""
    prefixes = NAMESPACE.get(right.resource)
    return _is_our_user(_user(right), declared) or (prefixes is not None and right.name.startswith(prefixes))


def _concerns_us(right: Right, declared: BrokerAccess) -> bool:
    """True for a right that covers our names among others; rights on the cluster and on users cover everything."""
    if right.resource not in NAMESPACE:
        return right.operation not in ("Describe", "DescribeConfigs", "IdempotentWrite")
    everything = right.name == WILDCARD and not right.prefixed
    wider = right.prefixed and any(name.startswith(right.name) for name in NAMESPACE[right.resource])
    return everything or wider or _is_ours(right, declared)


def _advice(right: Right) -> str:
    if right.permission != ALLOW:
        return f"{right}: a denial that somebody made on purpose; remove it by hand once its reason is gone"
    return f"{right}: an undeclared right that covers our names; remove it, or name the user in provision.other_users"


def _undeclared_users(users: Collection[str]) -> Iterator[str]:
    for user in sorted(users):
        if not user.startswith(PARTY_USERS):
            yield f"user {user}: undeclared; delete it, or name it in provision.other_users"


def _default_quotas(quotas: Mapping[Entity, Quota]) -> Iterator[str]:
    for entity in sorted(quotas):
        if not all(name for _, name in entity.parts) and dict(entity.parts).keys() <= {"user", "client-id"}:
            yield f"quota of {entity}: slows the router and its feeds too, which have none of their own; remove it"


def _quota_changes(
    declared: BrokerAccess, found: BrokerAccess, left_alone: frozenset[str]
) -> Iterator[tuple[Entity, Mapping[str, float | None]]]:
    for entity in sorted({*declared.quotas, *found.quotas}):
        wanted, there = declared.quotas.get(entity, {}), found.quotas.get(entity, {})
        user = entity.user
        if wanted == there or not user or user in left_alone or not _is_our_user(user, declared):
            continue
        surplus: dict[str, float | None] = dict.fromkeys(there.keys() - wanted.keys())
        yield entity, surplus | {key: limit for key, limit in wanted.items() if there.get(key) != limit}

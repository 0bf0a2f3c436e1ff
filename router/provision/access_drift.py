"""The drift between what access is declared and what is found, in both directions. Pure.

What is ours is set right: users, rights and quotas of our own users, and rights of others that reach nothing but our
topics, groups and ids. What reaches further, or refuses, was made by somebody for a reason that we can't know: it is
shown, and left to people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from router.model.registry_values import Party
from router.provision.access_rights import (
    ALLOW,
    OURS,
    OWN_TRANSACTIONS,
    PARTY_USERS,
    ROUTER_GROUP,
    WILDCARD,
    Declared,
    Entity,
    Found,
    ProvisionSettings,
    Quota,
    Right,
)
from router.topics import PARTY_PREFIX, REQUEST_PREFIX

NAMESPACE: Final[Mapping[str, tuple[str, ...]]] = {
    "topic": OURS,
    "group": (PARTY_USERS, ROUTER_GROUP),
    "transactional id": (OWN_TRANSACTIONS,),
}
"""By kind of resource, what names of ours begin with."""


class Plan(NamedTuple):
    """What differs. Empty: all is as declared."""

    users_missing: tuple[str, ...] = ()
    users_surplus: tuple[str, ...] = ()
    rights_missing: tuple[Right, ...] = ()
    rights_surplus: tuple[Right, ...] = ()
    quotas: tuple[tuple[Entity, Mapping[str, float | None]], ...] = ()
    """Limits to set, None to take away."""
    by_hand: tuple[str, ...] = ()
    """What nobody declared and `apply` leaves alone, each with what to do about it."""

    @property
    def mendable(self) -> bool:
        return any(self._replace(by_hand=()))

    def lines(self) -> Iterator[str]:
        """For people; `+` will be made, `-` taken away, `~` changed, `!` is theirs to settle."""
        yield from (f"+ user {user}" for user in self.users_missing)
        yield from (f"- user {user}" for user in self.users_surplus)
        yield from (f"+ right {right}" for right in self.rights_missing)
        yield from (f"- right {right}" for right in self.rights_surplus)
        for entity, limits in self.quotas:
            words = ", ".join(f"{key} {'none' if limit is None else f'{limit:g}'}" for key, limit in limits.items())
            yield f"~ quota of {entity}: {words}"
        yield from (f"! {text}" for text in self.by_hand)


def compare(
    declared: Declared, found: Found, settings: ProvisionSettings, logged_in_as: str | None, undeclared: Collection[str]
) -> Plan:
    """`logged_in_as` made all this and is left alone, as are those of `settings.other_users`. `undeclared` are
    topics like a party's that nobody registered stands behind."""
    left_alone = frozenset({*settings.other_users, *([logged_in_as] if logged_in_as else [])})
    users = found.users - declared.users - left_alone
    rights = sorted(right for right in found.rights - declared.rights if _user(right) not in left_alone)
    ours = [right for right in rights if right.permission == ALLOW and _is_ours(right, declared)]
    return Plan(
        users_missing=tuple(sorted(declared.users - found.users)),
        users_surplus=tuple(sorted(user for user in users if user.startswith(PARTY_USERS))),
        rights_missing=tuple(sorted(declared.rights - found.rights)),
        rights_surplus=tuple(ours),
        quotas=tuple(_quota_changes(declared, found, left_alone)),
        by_hand=(
            *_unknown_users(users),
            *(_word_on(right) for right in rights if right not in ours and _concerns_us(right, declared)),
            *_default_quotas(found.quotas),
            *(
                f"topic {name}: no party registered has it. It may hold notices, so it is never deleted here: register "
                "its party (`external` is enough), or delete it by hand"
                for name in sorted(undeclared)
            ),
        ),
    )


def undeclared_topics(names: Collection[str], parties: Collection[Party]) -> list[str]:
    """Topics like a party's of which no party is registered, whatever its status."""
    registered = {name for party in parties for name in (party.topic, REQUEST_PREFIX + party.scac)}
    return [name for name in names if name.startswith((PARTY_PREFIX, REQUEST_PREFIX)) and name not in registered]


def of_party(found: Found, party: Party) -> Plan:
    """What is to be taken away so that a party has nothing left: to cut it off."""
    who, own = f"User:{party.user}", Entity.of_user(party.user)
    return Plan(
        users_surplus=(party.user,) if party.user in found.users else (),
        rights_surplus=tuple(
            sorted(right for right in found.rights if right.principal == who and right.permission == ALLOW)
        ),
        quotas=((own, dict.fromkeys(found.quotas[own])),) if own in found.quotas else (),
    )


def _user(right: Right) -> str:
    return right.principal.removeprefix("User:")


def _is_our_user(user: str, declared: Declared) -> bool:
    return user in declared.users or user.startswith(PARTY_USERS)


def _is_ours(right: Right, declared: Declared) -> bool:
    """Of our users, or on nothing but what is ours."""
    within = right.name.startswith(NAMESPACE.get(right.resource, ())) if right.resource in NAMESPACE else False
    return _is_our_user(_user(right), declared) or within


def _concerns_us(right: Right, declared: Declared) -> bool:
    """Whether it reaches into what is ours, among other things; rights on the cluster and on users reach everything."""
    if right.resource not in NAMESPACE:
        return right.operation not in ("Describe", "DescribeConfigs", "IdempotentWrite")
    everything = right.name == WILDCARD and not right.prefixed
    wider = right.prefixed and any(name.startswith(right.name) for name in NAMESPACE[right.resource])
    return everything or wider or _is_ours(right, declared)


def _word_on(right: Right) -> str:
    if right.permission != ALLOW:
        return f"{right}: somebody refused this on purpose; take it away by hand when it is settled"
    return f"{right}: reaches into what is ours, and nobody declared it. Take it away, or name the user in other_users"


def _unknown_users(users: Collection[str]) -> Iterator[str]:
    for user in sorted(users):
        if not user.startswith(PARTY_USERS):
            yield f"user {user}: nobody declared it. Delete it, or name it in provision.other_users"


def _default_quotas(quotas: Mapping[Entity, Quota]) -> Iterator[str]:
    for entity in sorted(quotas):
        if not all(name for _, name in entity.parts) and dict(entity.parts).keys() <= {"user", "client-id"}:
            yield f"quota of {entity}: slows the router and its feeds too, which have none of their own"


def _quota_changes(
    declared: Declared, found: Found, left_alone: frozenset[str]
) -> Iterator[tuple[Entity, Mapping[str, float | None]]]:
    for entity in sorted({*declared.quotas, *found.quotas}):
        wanted, there = declared.quotas.get(entity, {}), found.quotas.get(entity, {})
        user = entity.user
        if wanted == there or not user or user in left_alone or not _is_our_user(user, declared):
            continue
        surplus: dict[str, float | None] = dict.fromkeys(there.keys() - wanted.keys())
        yield entity, surplus | {key: limit for key, limit in wanted.items() if there.get(key) != limit}

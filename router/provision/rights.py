"""The words of access: a right, a quota, and what the brokers were found to allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

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

"""Settings of provisioning: who there is besides the parties, and how much a party may ask of the brokers."""

from __future__ import annotations

from collections import Counter
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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

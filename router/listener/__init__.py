"""The feed's HTTP listener: other systems post messages to it, and it stores them on the log."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIB: Final = 1 << 20


class ListenSettings(BaseModel):
    """The table `[listen]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = "127.0.0.1:8082"
    """`host:port`."""
    tokens_file: Path = Path("snp-listen-tokens.json")
    """Scopes and hashes of the senders' tokens; only its owner may read it."""
    tls_certificate: Path | None = None
    """PEM, with the chain. Without it the listener speaks plain HTTP."""
    tls_key: Path | None = None
    behind_proxy: bool = False
    """A proxy with TLS is in front: plain HTTP is allowed on an address that other machines reach."""
    size_limit_bytes: int = Field(default=16 * MIB, ge=1024, le=64 * MIB)
    """The largest body. CBP's largest transmission has 12 MiB."""
    concurrent_bodies: int = Field(default=8, ge=1, le=64)
    """Bodies in memory at a time; each takes up to four times its size while it is read."""

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self

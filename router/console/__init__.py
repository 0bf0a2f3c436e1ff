"""The operations desk's pages: a web server with an index of its own, which it builds from the log."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class AccessSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users_file: Path = Path("snp-console-users.json")
    """Names, roles and argon2 hashes of local users; only its owner may read it. The file that keeps sessions across a
    restart lies beside it."""
    proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks of trusted proxies, which log users in. Empty: local users log in."""
    proxy_user_header: str = "X-Forwarded-User"
    proxy_role_header: str = "X-Forwarded-Role"
    tls_proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks of trusted proxies that add TLS and log nobody in. The browser's address is then the one in
    their X-Forwarded-For; wrong passwords are counted by it."""
    secure_cookie: bool = True
    """Send the cookie over TLS only. Set it to false for plain HTTP on the same machine."""

    @property
    def sessions_file(self) -> Path:
        """The key that signs sessions, and log-outs; only its owner may read it. Without it everybody logs in again."""
        return self.users_file.with_name(f"{self.users_file.stem}-sessions.json")

    @model_validator(mode="after")
    def _one_kind_of_proxy(self) -> Self:
        if self.proxy_addresses and self.tls_proxy_addresses:
            raise ValueError("give proxy_addresses (they log users in) or tls_proxy_addresses (they don't), not both")
        return self


class ConsoleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:8080"
    """Plain HTTP; for other machines put a proxy with TLS in front."""
    index_file: Path = Path("snp-console.db")
    """Built from the log, and rebuilt if it is missing or broken."""
    access: AccessSettings = AccessSettings()

"""The operations desk's pages: a web server with an index of its own, which it builds from the log."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class AccessSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users_file: Path = Path("snp-console-users.json")
    """Names, roles and argon2 hashes of local users; only its owner may read it."""
    proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks of trusted proxies, which log users in. Empty: local users log in."""
    proxy_user_header: str = "X-Forwarded-User"
    proxy_role_header: str = "X-Forwarded-Role"
    tls_proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks of trusted proxies that add TLS and log nobody in. The browser's address is then the one in
    their X-Forwarded-For; wrong passwords are counted by it."""
    secure_cookie: bool = True
    """Send the cookie over TLS only. Set it to false for plain HTTP on the same machine."""


class ConsoleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:8080"
    """Plain HTTP; for other machines put a proxy with TLS in front."""
    index_file: Path = Path("snp-console.db")
    """Built from the log, and rebuilt if it is missing or broken."""
    access: AccessSettings = AccessSettings()

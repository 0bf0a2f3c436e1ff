"""What may be set of the console."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class AccessSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users_file: Path = Path("snp-console-users.json")
    """Names, roles and argon2 hashes of local users; readable by its owner only."""
    proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks whose `proxy_user_header` is believed. Empty: nobody's."""
    proxy_user_header: str = "X-Forwarded-User"
    proxy_role_header: str = "X-Forwarded-Role"
    secure_cookie: bool = True
    """Send the cookie over TLS only. False is for plain HTTP on the same machine."""
    attempts: ClassVar[int] = 5
    """Wrong passwords a minute for one name."""


class ConsoleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:8080"
    """Plain HTTP: beyond this machine, put a proxy with TLS before it."""
    index_file: Path = Path("snp-console.db")
    """Made from the log, and made anew where it is missing."""
    access: AccessSettings = AccessSettings()

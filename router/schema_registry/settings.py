"""Settings of an external schema registry, where the parties have one already."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator


class RegistrySettings(BaseModel):
    """Without `url` notices carry our own ids, which `snp-router registry serve` knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    """Where a Confluent Schema Registry API is served; for Apicurio with `/apis/ccompat/v7` at its end."""
    public_url: str | None = None
    """Where parties find schemas, if not at `url`: that of `snp-router registry serve`, for one. For `asyncapi`."""
    username: str | None = None
    password_file: Path | None = None
    """Read at start, without the newline at its end."""
    cafile: Path | None = None
    """PEM, of the authority that signed the registry's certificate, if the system does not know it."""
    answer_seconds: ClassVar[float] = 10.0
    start_deadline_seconds: ClassVar[float] = 60.0
    """So long a router that starts asks again while the registry does not answer."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(url is not None and not url.startswith(("http://", "https://")) for url in (self.url, self.public_url)):
            raise ValueError("url and public_url must begin with http:// or https://")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together")
        return self

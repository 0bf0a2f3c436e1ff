"""Settings of `snp-router webhooks`: the table `[webhooks]`. A party's `webhook_url` is in the registry instead."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork


class WebhookSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets_directory: Path = Path("webhook-secrets")
    """One file a party, named by its SCAC, mode 600, with a secret a line, the newest first. Relative to the settings
    file."""
    secret_command: tuple[str, ...] = ()
    """Program that prints a party's secrets instead, given the SCAC as its last argument."""
    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that may be posted to although they are not public."""
    allow_http: bool = False
    """Allow unencrypted posts."""
    ca_file: Path | None = None
    """Certificate authorities trusted besides the system's, PEM. Relative to the settings file."""
    attempt_seconds: float = Field(default=15.0, gt=0, le=120)
    """Deadline of one attempt, from the name's look-up to the answer."""
    concurrent_posts: int = Field(default=8, ge=1, le=64)
    """Concurrent posts to one party, each for another bill."""
    first_pause_seconds: ClassVar[float] = 5.0
    """Pause after the first failure; it doubles with each further one."""
    longest_pause_seconds: ClassVar[float] = 3600.0
    give_up_days: float = Field(default=7.0, gt=0)
    """Days of failures after which an endpoint is disabled, or a refused notice is set aside."""

    def beside(self, folder: Path) -> WebhookSettings:
        """Resolve paths relative to the settings file's folder."""
        ca_file = folder / self.ca_file if self.ca_file else None
        return self.model_copy(update={"secrets_directory": folder / self.secrets_directory, "ca_file": ca_file})

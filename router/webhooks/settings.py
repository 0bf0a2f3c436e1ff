"""Settings of `snp-router webhooks`: the table `[webhooks]`. Where a party's notices go stands in the registry."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork


class WebhookSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets_directory: Path = Path("webhook-secrets")
    """One file a party, named by its SCAC, for its owner only (mode 600): a secret a line, the newest first. Relative
    to the settings file."""
    secret_command: tuple[str, ...] = ()
    """Instead: a program that prints the same; it is given the SCAC as its last argument."""
    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that may be posted to although they are not public."""
    allow_http: bool = False
    """Whether notices may go out unencrypted."""
    ca_file: Path | None = None
    """PEM. Authorities that are trusted besides the system's. Relative to the settings file."""
    attempt_seconds: float = Field(default=15.0, gt=0, le=120)
    """For one attempt, from the name's look-up to the answer."""
    concurrent_posts: int = Field(default=8, ge=1, le=64)
    """To one party at once, each of another bill."""
    first_pause_seconds: ClassVar[float] = 5.0
    longest_pause_seconds: ClassVar[float] = 3600.0
    """After failures, doubling from the one to the other."""
    give_up_days: float = Field(default=7.0, gt=0)
    """An endpoint that failed for so long is given up; a notice that was refused for so long is set aside."""

    def beside(self, folder: Path) -> WebhookSettings:
        """With its paths seen from the settings file's folder."""
        ca_file = folder / self.ca_file if self.ca_file else None
        return self.model_copy(update={"secrets_directory": folder / self.secrets_directory, "ca_file": ca_file})

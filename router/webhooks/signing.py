"""The secrets that sign a party's webhook: never in the registry, in a log line or in an error."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from standardwebhooks import Webhook

from router.errors import UsageError
from router.files import replace_for_owner
from router.webhooks.webhook_settings import WebhookSettings

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
COMMAND_SECONDS: Final = 10.0
FRESH_SECONDS: Final = 60.0
"""So long what the secret command said is used again."""
MOST_SECRETS: Final = 4


class Secrets:
    """Looks secrets up anew for each use, so that a rotation needs no restart. Methods raise UsageError."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._said: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def of(self, scac: str) -> tuple[str, ...]:
        """All that sign now, the newest first."""
        if not self._settings.secret_command:
            return _checked(read_file(self._settings.secrets_directory / scac), scac)
        at, said = self._said.get(scac, (-FRESH_SECONDS, ()))
        if time.monotonic() - at > FRESH_SECONDS:
            said = _checked(await self._ask(scac), scac)
            self._said[scac] = time.monotonic(), said
        return said

    async def _ask(self, scac: str) -> str:
        command = self._settings.secret_command
        try:
            process = await asyncio.create_subprocess_exec(*command, scac, stdout=asyncio.subprocess.PIPE)
        except OSError as error:
            raise UsageError(f"the secret command {command[0]} can't be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, _ = await process.communicate()
        except TimeoutError as error:
            raise UsageError(f"the secret command did not answer within {COMMAND_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise UsageError(f"the secret command ended with {process.returncode} for {scac}")
        return out.decode(errors="replace")


def read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"no webhook secret in {path}: `snp-router webhooks secret {path.name}` makes one") from error
    if mode & 0o077:
        raise UsageError(f"{path} can be read by others: chmod 600 it, and make a new secret")
    return text


def _checked(text: str, scac: str) -> tuple[str, ...]:
    found = tuple(filter(None, map(str.strip, text.splitlines())))[:MOST_SECRETS]
    try:
        for secret in found:
            Webhook(secret)
    except ValueError:
        raise UsageError(f"a webhook secret of {scac} is no base64 ({PREFIX}…)") from None
    if not found:
        raise UsageError(f"{scac} has no webhook secret: `snp-router webhooks secret {scac}` makes one")
    return found


def add_secret(directory: Path, scac: str) -> str:
    """A new secret, which signs from now on beside those there were: the party can change over when it likes."""
    path = directory / scac
    before = read_file(path) if path.exists() else ""
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    _write(path, f"{secret}\n{before}")
    return secret


def finish_rotation(directory: Path, scac: str) -> int:
    """Only the newest secret signs from now on; how many were dropped."""
    path = directory / scac
    found = _checked(read_file(path), scac)
    _write(path, f"{found[0]}\n")
    return len(found) - 1


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_for_owner(path, text)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error


def signed_headers(notice_id: str, seconds: float, body: str, secrets_: tuple[str, ...]) -> dict[str, str]:
    """As the Standard Webhooks specification has them; one signature for each secret."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": str(int(seconds)),
        "webhook-signature": " ".join(Webhook(secret).sign(notice_id, at, body) for secret in secrets_),
    }

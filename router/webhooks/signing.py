"""Secrets that sign a party's webhook. They never appear in the registry, in a log line or in an error."""

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
MOST_SECRETS: Final = 4
COMMAND_SECONDS: Final = 10.0
FRESH_SECONDS: Final = 60.0
"""Time for which the secret command's output is reused."""


class SigningSecrets:
    """Looks secrets up for each use, so that a rotation needs no restart."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._printed: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def of(self, party_id: str) -> tuple[str, ...]:
        """Return all current secrets of a party, the newest first. Raises UsageError."""
        if not self._settings.secret_command:
            return _checked(read_file(self._settings.secrets_directory / party_id), party_id)
        at, found = self._printed.get(party_id, (-FRESH_SECONDS, ()))
        if time.monotonic() - at > FRESH_SECONDS:
            found = _checked(await self._run_command(party_id), party_id)
            self._printed[party_id] = time.monotonic(), found
        return found

    async def _run_command(self, party_id: str) -> str:
        command = self._settings.secret_command
        try:
            process = await asyncio.create_subprocess_exec(*command, party_id, stdout=asyncio.subprocess.PIPE)
        except OSError as error:
            raise UsageError(f"secret command {command[0]} did not start: {error.strerror}") from error
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, _ = await process.communicate()
        except TimeoutError as error:
            raise UsageError(f"secret command for {party_id} did not end within {COMMAND_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise UsageError(f"secret command for {party_id} failed with exit code {process.returncode}")
        return out.decode(errors="replace")


def read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"no readable webhook secret in {path}: make one with `snp-router webhooks secret {path.name}`"
        ) from error
    if mode & 0o077:
        raise UsageError(f"{path} can be read by others: run chmod 600 on it, then make a new secret")
    return text


def _checked(text: str, party_id: str) -> tuple[str, ...]:
    found = tuple(filter(None, map(str.strip, text.splitlines())))[:MOST_SECRETS]
    try:
        for secret in found:
            Webhook(secret)
    except ValueError:
        raise UsageError(f"a webhook secret of {party_id} is not base64 ({PREFIX}…): make a new one") from None
    if not found:
        raise UsageError(f"{party_id} has no webhook secret: make one with `snp-router webhooks secret {party_id}`")
    return found


def add_secret(directory: Path, party_id: str) -> str:
    """Make a secret that signs beside the older ones, until `finish_rotation`. Raises UsageError."""
    path = directory / party_id
    before = read_file(path) if path.exists() else ""
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    _write(path, f"{secret}\n{before}")
    return secret


def finish_rotation(directory: Path, party_id: str) -> int:
    """Drop all secrets but the newest; return the number dropped. Raises UsageError."""
    path = directory / party_id
    found = _checked(read_file(path), party_id)
    _write(path, f"{found[0]}\n")
    return len(found) - 1


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_for_owner(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def signed_headers(notice_id: str, seconds: float, body: str, signing: tuple[str, ...]) -> dict[str, str]:
    """Headers of the Standard Webhooks specification, with one signature for each secret."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": str(int(seconds)),
        "webhook-signature": " ".join(Webhook(secret).sign(notice_id, at, body) for secret in signing),
    }

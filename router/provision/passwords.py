"""New passwords, delivered once: to a file that only its owner reads, or to a command's standard input."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from router.errors import UsageError
from router.files import OWNER_ONLY

PASSWORD_BYTES: Final = 24
"""Random bytes: too many to try."""
COMMAND_SECONDS: Final = 60
TERMINAL: Final = Path("-")


PasswordRotation = Callable[[str, str], None]
"""Delivers a user's new password before the brokers have it, so that none is in force that nobody holds.

Raises UsageError if it cannot be delivered; the old password then stays in force."""


def new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def to_file(path: Path) -> PasswordRotation:
    """Append each password as a line of JSON; a user's last line counts. `-` is standard output.

    Raises UsageError if the file exists and others than its owner may read it.
    """
    if path != TERMINAL:
        with _opened(path):
            pass

    def rotate(user: str, password: str) -> None:
        line = json.dumps({"user": user, "password": password}) + "\n"
        if path == TERMINAL:
            sys.stdout.write(line)
            sys.stdout.flush()
            return
        with _opened(path) as file:
            file.write(line.encode())
            os.fsync(file.fileno())

    return rotate


def to_command(command: str) -> PasswordRotation:
    """Run a command for each password, given on its standard input; `{user}` in its words is the user. No shell."""
    words = shlex.split(command)
    if not words:
        raise UsageError("--password-command is empty: give a program")

    def rotate(user: str, password: str) -> None:
        run = [word.replace("{user}", user) for word in words]
        try:
            done = subprocess.run(run, input=password.encode(), stdout=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it did not end within {COMMAND_SECONDS} s"
            raise UsageError(f"password command {words[0]} for {user} failed: {reason}") from error
        if done.returncode:
            raise UsageError(f"password command {words[0]} for {user} failed with exit code {done.returncode}")

    return rotate


def _opened(path: Path):  # type: ignore[no-untyped-def]
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, OWNER_ONLY), "ab")
    except OSError as error:
        raise UsageError(f"cannot write passwords to {path}: {error.strerror}") from error
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        file.close()
        raise UsageError(f"no passwords are written to {path}: it must be your own regular file with mode 600")
    return file

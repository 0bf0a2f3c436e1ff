"""New passwords, and where they go: to a file that only its owner reads, or into a command's standard input. Once."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final, Protocol

from router.errors import UsageError
from router.files import OWNER_ONLY

PASSWORD_BYTES: Final = 24
"""Of randomness: nobody tries them all."""
COMMAND_SECONDS: Final = 60
TERMINAL: Final = Path("-")


class Handover(Protocol):
    """Takes a user's new password before the brokers have it, so that none is in force that nobody holds."""

    def __call__(self, user: str, password: str) -> None:
        """Raises UsageError if it could not be handed over; nothing was changed then."""
        ...


def new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def to_file(path: Path) -> Handover:
    """A line of JSON each, appended; of several for one user the last one counts. `-` is standard output.

    Raises UsageError if the file is there and others than its owner may read it.
    """
    if path != TERMINAL:
        with _opened(path):
            pass

    def hand_over(user: str, password: str) -> None:
        line = json.dumps({"user": user, "password": password}) + "\n"
        if path == TERMINAL:
            sys.stdout.write(line)
            sys.stdout.flush()
            return
        with _opened(path) as file:
            file.write(line.encode())
            os.fsync(file.fileno())

    return hand_over


def to_command(command: str) -> Handover:
    """Run for each password, which it reads from its standard input; `{user}` in its words is the user. No shell."""
    words = shlex.split(command)
    if not words:
        raise UsageError("--password-command is empty")

    def hand_over(user: str, password: str) -> None:
        run = [word.replace("{user}", user) for word in words]
        try:
            done = subprocess.run(run, input=password.encode(), stdout=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = error.strerror if isinstance(error, OSError) else f"no end within {COMMAND_SECONDS} s"
            raise UsageError(f"the password command {words[0]} for {user} failed: {reason}") from error
        if done.returncode:
            raise UsageError(f"the password command {words[0]} for {user} ended with {done.returncode}")

    return hand_over


def _opened(path: Path):  # type: ignore[no-untyped-def]
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, OWNER_ONLY), "ab")
    except OSError as error:
        raise UsageError(f"passwords can't be written to {path}: {error.strerror}") from error
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        file.close()
        raise UsageError(f"passwords are not written to {path}: it must be a file that only you can read (mode 600)")
    return file

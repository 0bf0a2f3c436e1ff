"""Files, folders, pipes and standard input as chunks of bytes, read without following what somebody else put there.

A file that the operator names is opened as it is. A file found in a folder is read only if it is a plain file of this
user or of the folder's owner: a symbolic link to a secret would end up readable in the dead letters.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from router.errors import UsageError

CHUNK_BYTES: Final = 1 << 16
STANDARD_INPUT: Final = Path("-")
NOTHING_YET: Final = b""
"""The chunk of a pipe that has nothing more for now. More may follow."""

_LOOK_SECONDS: Final = 0.2
"""Between two empty chunks of a quiet pipe."""
_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Opening a named pipe without a writer would block otherwise."""

Progress = Callable[[int], None]
"""Called with the number of bytes read since the last call."""


class InputFile(NamedTuple):
    """A file to read, which is opened when its first chunk is asked for."""

    path: Path
    """`-` is standard input."""
    folder: Path | None = None
    """The folder in which it was found; None if the operator named it."""

    @property
    def name(self) -> str:
        return "standard input" if self.path == STANDARD_INPUT else str(self.path)

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """The bytes of the file. Those of a pipe come as they arrive, with `NOTHING_YET` whenever there are no more.

        Raises UsageError if it can't be read, or was found in a folder and is refused.
        """
        if self.path == STANDARD_INPUT:
            chunks = _standard_input()
        elif self.folder is None:
            chunks = _named(self.path)
        else:
            chunks = _found(self.path, self.folder)
        for chunk in chunks:
            if progress is not None:
                progress(len(chunk))
            yield chunk


def files_in(paths: Iterable[Path]) -> list[InputFile]:
    """The files among `paths`, and the entries of the folders among them, by name, without folders and hidden files.

    Raises UsageError if a path does not exist.
    """
    files: list[InputFile] = []
    for path in paths:
        if path != STANDARD_INPUT and path.is_dir():
            entries = sorted(path.iterdir())
            files.extend(InputFile(one, path) for one in entries if not (one.name.startswith(".") or is_folder(one)))
        elif path == STANDARD_INPUT or path.exists():
            files.append(InputFile(path))
        else:
            raise UsageError(f"there is no file or folder {path}")
    return files


def is_folder(path: Path) -> bool:
    """False for a link to one."""
    return path.is_dir() and not path.is_symlink()


@contextmanager
def open_found(path: Path, folder: Path) -> Iterator[int]:
    """The descriptor of a plain file in a folder. Raises UsageError for anything else, and for other users' files.

    What was opened is checked, so nobody can exchange it after the check.
    """
    try:
        descriptor = os.open(path, _READING | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            _refuse_others(path.lstat(), path, folder)
        raise _unreadable(path, error) from error
    try:
        _refuse_others(os.fstat(descriptor), path, folder)
        yield descriptor
    finally:
        os.close(descriptor)


def chunks_as_they_come(descriptor: int, path: Path) -> Iterator[bytes]:
    """The bytes that are there, at once, and `NOTHING_YET` while there are none. Raises UsageError."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    patience = 0.0
    try:
        while True:
            if not waiting.poll(patience * 1000):
                yield NOTHING_YET
                patience = _LOOK_SECONDS
                continue
            with suppress(BlockingIOError):  # another reader of the same pipe was faster
                if not (chunk := os.read(descriptor, CHUNK_BYTES)):
                    return
                yield chunk
            patience = 0.0
    except OSError as error:
        raise _unreadable(path, error) from error


def _named(path: Path) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, _READING)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        yield from chunks_as_they_come(descriptor, path)
    finally:
        os.close(descriptor)


def _found(path: Path, folder: Path) -> Iterator[bytes]:
    with open_found(path, folder) as descriptor:
        yield from chunks_as_they_come(descriptor, path)


def _standard_input() -> Iterator[bytes]:
    """Named twice, it has nothing more the second time."""
    try:
        descriptor = sys.stdin.fileno()
    except OSError:  # another program has put its own stream there
        yield from iter(lambda: sys.stdin.buffer.read(CHUNK_BYTES), b"")
    else:
        yield from chunks_as_they_come(descriptor, Path("standard input"))


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} can't be read: {error.strerror}")


def _refuse_others(status: os.stat_result, path: Path, folder: Path) -> None:
    """Raise UsageError unless the status is that of a plain file of this user or of the folder's owner."""
    for is_kind, kind in _KINDS:
        if is_kind(status.st_mode):
            raise UsageError(f"{path} is {kind}, and only plain files in a folder are read: put the file itself there")
    owners = {os.geteuid(), folder.stat().st_uid}
    if status.st_uid not in owners:
        raise UsageError(
            f"{path} belongs to user {status.st_uid}, and only files of this user ({os.geteuid()}) or of the folder's "
            "owner are read: copy it there as one of these"
        )

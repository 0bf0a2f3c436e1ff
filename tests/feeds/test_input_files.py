"""Files that are named, found in folders, or piped in."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.errors import UsageError
from router.feeds.input_files import NOTHING_YET, STANDARD_INPUT, InputFile, files_in

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


def content(file: InputFile) -> bytes:
    return b"".join(file.chunks())


def test_a_folder_stands_for_its_files_by_name_without_folders_and_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.x12", "a.x12", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "done").mkdir()
    assert [file.name for file in files_in([tmp_path])] == [str(tmp_path / "a.x12"), str(tmp_path / "b.x12")]
    with pytest.raises(UsageError, match="no file or folder"):
        files_in([tmp_path / "none"])


def test_standard_input_named_twice_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"scac\nNVXA\n")))
    assert [content(InputFile(STANDARD_INPUT)) for _ in range(2)] == [b"scac\nNVXA\n", b""]


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    chunks = InputFile(tmp_path / "pipe").chunks()
    assert next(chunks) == NOTHING_YET  # nobody has opened it for writing yet
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(b"one")
        assert next(chunks) == b"one"
        assert next(chunks) == NOTHING_YET
        pipe.write(b"two")
        assert next(chunks) == b"two"
    assert next(chunks, None) is None


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def link_to_folder(path: Path, secret: Path) -> None:
    path.symlink_to(secret.parent)


def dangling(path: Path, secret: Path) -> None:
    path.symlink_to(secret.with_name("nothing"))


def pipe(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, secret: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


def device(path: Path, secret: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def foreign(path: Path, secret: Path) -> None:
    path.write_bytes(b"secret")
    os.chown(path, 12345, 12345)


def hard_link(path: Path, secret: Path) -> None:
    os.chown(secret, 12345, 12345)
    path.hardlink_to(secret)


KINDS = [link, link_to_folder, dangling, pipe, unix_socket]
KINDS_BY_ROOT = [device, foreign, hard_link]


@pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(kind, marks=as_root) for kind in KINDS_BY_ROOT)])
def test_what_is_no_plain_file_of_ours_is_refused_in_a_folder(
    kind: Callable[[Path, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    secret, folder = Path("secret/key"), Path("in")
    secret.parent.mkdir()
    secret.write_bytes(b"secret")
    folder.mkdir()
    kind(folder / "a.x12", secret)
    (file,) = files_in([folder])
    with pytest.raises(UsageError, match=r"in/a\.x12 (is a|belongs to)"):
        content(file)


def test_a_link_that_an_operator_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (file,) = files_in([tmp_path / "b"])
    assert content(file) == b"one"


@as_root
def test_files_of_the_folders_owner_are_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.x12").write_bytes(b"one")
    for path in (tmp_path / "in", tmp_path / "in" / "a.x12"):
        os.chown(path, 12345, 12345)
    (file,) = files_in([tmp_path / "in"])
    assert content(file) == b"one"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing can't be read: No such file"):
        content(InputFile(tmp_path / "nothing"))

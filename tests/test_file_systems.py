"""Network drives are told from local disks by the list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from router import file_systems
from router.errors import FatalLogError
from router.feeds.watched_folder import WatchedFolder
from router.file_systems import Mount, mount_of, mounts
from router.log.sqlite import open_sqlite_log


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, *more: str) -> Path:
    """A folder on a drive of that kind, as far as the list of mounts says."""
    (tmp_path / "a b").mkdir()
    point = str(tmp_path / "a b").replace(" ", "\\040")
    lines = [
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        f"30 22 0:25 / {point} rw,relatime - {kind} server:/export rw",
        *more,
        "garbage",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines))
    monkeypatch.setattr(file_systems, "MOUNT_INFO", tmp_path / "mountinfo")
    return tmp_path / "a b"


def test_a_path_is_on_the_innermost_mount_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = mounted(monkeypatch, tmp_path, "nfs4")
    assert mount_of(drive / "x.db") == Mount(str(drive), "nfs4")
    assert mount_of(Path(f"{drive}2")) == Mount("/", "ext4")
    (tmp_path / "link").symlink_to(drive)
    assert mount_of(tmp_path / "link" / "x.db") == Mount(str(drive), "nfs4")


def test_a_later_mount_at_a_place_hides_the_earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = str(tmp_path / "a b").replace(" ", "\\040")
    drive = mounted(monkeypatch, tmp_path, "nfs4", f"31 22 0:26 / {point} rw - tmpfs none rw")
    assert mount_of(drive) == Mount(str(drive), "tmpfs")


def test_where_mounts_are_not_listed_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "MOUNT_INFO", tmp_path / "none")
    assert (mounts(), mount_of(tmp_path)) == ([], None)


@pytest.mark.parametrize(
    ("kind", "network", "shared"),
    [
        ("nfs", True, True),
        ("cifs", True, True),
        ("fuse.sshfs", False, True),
        ("9p", False, True),
        ("fuse.fuse-overlayfs", False, False),
        ("ext4", False, False),
        ("overlay", False, False),
    ],
)
def test_kinds_of_drives(kind: str, network: bool, shared: bool) -> None:
    mount = Mount("/", kind)
    assert (mount.is_network_drive, mount.may_be_shared) == (network, shared)


async def test_a_sqlite_log_on_a_network_drive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = mounted(monkeypatch, tmp_path, "nfs4")
    with pytest.raises(FatalLogError, match=r"network drive \(nfs4\).*local disk"):
        async with open_sqlite_log(str(drive / "snp.db")):
            pass
    assert not (drive / "snp.db").exists()


@pytest.mark.parametrize("kind", ["fuse.sshfs", "9p"])
async def test_a_sqlite_log_on_a_drive_that_may_be_shared_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    drive = mounted(monkeypatch, tmp_path, kind)
    with capture_logs() as lines:
        async with open_sqlite_log(str(drive / "snp.db")):
            pass
    assert [line["event"] for line in lines] == ["file_on_shared_drive"]


@pytest.mark.parametrize(("kind", "events"), [("ext4", []), ("nfs4", ["folder_on_shared_drive"])])
def test_a_watched_folder_on_a_network_drive_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, events: list[str]
) -> None:
    drive = mounted(monkeypatch, tmp_path, kind)
    structlog.reset_defaults()
    with capture_logs() as lines:
        WatchedFolder(drive)
    assert [line["event"] for line in lines] == events

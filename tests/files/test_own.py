"""What edge-sdk trusts: files that nobody but this user, or root, can have written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.errors import ForeignFileError, StorageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows tells by access lists")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of this user alone."""
    folder = files.own_folder(tmp_path / "settings")
    files.write_bytes(folder / "file", b"12345", private=True)
    return folder / "file"


def refused(path: Path, reason: str, **how: bool) -> None:
    with pytest.raises(ForeignFileError, match=reason) as caught:
        files.read_own(path, 9, **how)
    assert isinstance(caught.value, StorageError)
    if not how:
        with pytest.raises(ForeignFileError, match=reason):
            files.check_own(path)


def test_a_file_of_ones_own_is_read(path: Path) -> None:
    assert files.read_own(path, 5, secret=True) == files.read_own(str(path), 9, links=False) == b"12345"
    files.check_own(path)
    path.chmod(0o644)
    assert files.read_own(path, 5) == b"12345"


@pytest.mark.usefixtures("shared_group")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    refused(path, r"file can be written by others \(chmod go-w")


@pytest.mark.usefixtures("shared_group")
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_file_in_a_folder_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    mend = "name a place of your own" if mode & 0o1000 else "chmod go-w"  # nobody should take /tmp from the others
    refused(path, rf"settings can be written by others \({mend}")


class Group:
    """The group of whoever runs the tests, as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import grp
        import pwd

        self.user = pwd.struct_passwd(("anna", "x", os.geteuid(), os.getegid(), "", "/", "/bin/sh"))
        self.name, self.members, self.users = "anna", [], [self.user]
        monkeypatch.setattr(pwd, "getpwuid", lambda _: self.user)
        monkeypatch.setattr(pwd, "getpwall", lambda: self.users)
        monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((self.name, "x", os.getegid(), self.members)))


def test_a_group_of_the_user_alone_may_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Debian, Ubuntu and Red Hat, where each user has a group of the same name, and a umask of 002."""
    Group(monkeypatch)
    path.chmod(0o664)
    path.parent.chmod(0o775)
    assert files.read_own(path, 5) == b"12345"
    files.check_own(path)
    assert files.own_folder(path.parent) == path.parent
    refused(path, "can be read by others", secret=True)
    path.chmod(0o666)
    refused(path, "can be written by others")


@pytest.mark.parametrize("change", ["name", "members", "users"])
def test_a_group_that_others_may_be_in_may_not(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    group = Group(monkeypatch)
    path.chmod(0o660)
    assert files.read_own(path, 5) == b"12345"
    if change == "name":
        group.name = "staff"
    elif change == "members":
        group.members = ["anna", "ben"]
    else:
        group.users = [group.user, type(group.user)(("ben", "x", 4321, os.getegid(), "", "/", "/bin/sh"))]
    refused(path, "file can be written by others")


def test_an_access_list_may_let_others_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the group may then do is what any of the list may do at most."""
    Group(monkeypatch)
    path.chmod(0o660)
    monkeypatch.setattr(os, "listxattr", lambda *_: ["system.posix_acl_access"], raising=False)
    if sys.platform == "linux":
        refused(path, "can be written by others")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    refused(path, r"can be read by others \(chmod go=", secret=True)


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused(path: Path, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = path.stat().st_uid
    if owner == 0:
        os.chown(path if which == "file" else path.parent, 1234, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    refused(path, "belongs to another user")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="makes a file of root's")
def test_what_root_wrote_is_believed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert files.read_own(path, 5) == b"12345"


def test_links_are_followed_through_folders_of_ones_own(path: Path, tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: each folder with a name on the way is looked at."""
    away = files.own_folder(tmp_path / "away")
    (away / "two").symlink_to(path)
    (path.parent / "one").symlink_to(Path("..", "away", "two"))
    assert files.read_own(path.parent / "one", 5) == b"12345"
    refused(path.parent / "one", "is a link", links=False)
    away.chmod(0o777)
    refused(path.parent / "one", "away can be written by others")
    away.chmod(0o700)
    path.chmod(0o666)
    refused(path.parent / "one", "file can be written by others")


def test_a_link_that_leads_to_itself(path: Path) -> None:
    (path.parent / "link").symlink_to("link")
    with pytest.raises(OSError, match="leads to itself"):
        files.read_own(path.parent / "link", 5)


def test_what_is_not_there_not_a_file_or_too_large(path: Path, tmp_path: Path) -> None:
    for missing in (path.parent / "none", tmp_path / "none" / "none"):
        with pytest.raises(FileNotFoundError):
            files.read_own(missing, 5)
        with pytest.raises(FileNotFoundError):
            files.check_own(missing)
    os.mkfifo(path.parent / "pipe")
    with pytest.raises(OSError, match="is a pipe, not a file"):
        files.read_own(path.parent / "pipe", 5)
    with pytest.raises(OSError, match="more than 4 bytes"):
        files.read_own(path, 4)


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    made = files.own_folder(tmp_path / "one" / "two")
    assert [folder.stat().st_mode & 0o777 for folder in (made, made.parent)] == [0o700, 0o700]
    made.chmod(0o755)
    assert files.own_folder(made) == made
    assert made.stat().st_mode & 0o777 == 0o755
    made.chmod(0o777)
    with pytest.raises(ForeignFileError, match="two can be written by others"):
        files.own_folder(made)


def test_a_foreign_file_of_a_cache_makes_room(path: Path, tmp_path: Path) -> None:
    files.discard_foreign(path)
    assert path.exists()
    path.chmod(0o666)
    files.discard_foreign(path)
    assert not path.exists()
    files.discard_foreign(path)
    (tmp_path / "elsewhere").write_bytes(b"")
    path.symlink_to(tmp_path / "elsewhere")
    files.discard_foreign(path)
    assert not path.is_symlink()
    assert (tmp_path / "elsewhere").exists()

"""Members behind links are followed, for the content is what counts; and nothing but ordinary files is opened."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from edge_sdk.bundle import SHIPPED, Bundle
from edge_sdk.errors import BundleError, IntegrityError

from .made import MODEL, check_whole, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links")


@pytest.mark.parametrize("where", ["model.fp32.onnx", "golden", "golden/a.png", "manifest.json", "manifest.sha256"])
def test_a_member_behind_a_link_is_read(tmp_path: Path, where: str) -> None:
    bundle = write(tmp_path / "tiny")
    (tmp_path / "tiny" / where).rename(tmp_path / "elsewhere")
    (tmp_path / "tiny" / where).symlink_to(tmp_path / "elsewhere")
    opened = Bundle.open(tmp_path / "tiny")
    check_whole(opened)
    assert (opened.id, opened.read_model("fp32.onnx")) == (bundle.id, MODEL)


def linked(source: Path, target: Path) -> Path:
    """A copy of a folder whose files are links, as ``uv --link-mode symlink``, Bazel and Nix make it."""
    for path in source.rglob("*"):
        if path.is_file():
            link = target / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return target


def test_a_shipped_bundle_whose_files_are_all_links(tmp_path: Path) -> None:
    opened = Bundle.open(linked(SHIPPED / "deepsign_nano", tmp_path / "deepsign_nano"))
    check_whole(opened)
    assert opened.id == Bundle.open("deepsign_nano").id


def test_a_mounted_volume_and_its_update(tmp_path: Path) -> None:
    """Kubernetes: names are links into ``..data``, which is a link to the folder of one version."""
    versions = [write(tmp_path / f"..{number}", bytes([number]) * 99, f"{number}.0") for number in (1, 2)]
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..data").symlink_to(tmp_path / "..1")
    for path in (tmp_path / "..1").iterdir():
        (mounted / path.name).symlink_to(Path("..data", path.name))
    opened = Bundle.open(mounted)
    check_whole(opened)
    assert opened.id == versions[0].id
    (tmp_path / "new").symlink_to(tmp_path / "..2")
    (tmp_path / "new").rename(mounted / "..data")
    with pytest.raises(IntegrityError):
        opened.read_model("fp32.onnx")
    assert Bundle.open(mounted).id == versions[1].id


def test_a_link_to_the_bundle_itself_is_read(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "current").symlink_to("tiny")
    check_whole(Bundle.open(tmp_path / "current"))


def test_a_link_to_another_content_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "secret").write_bytes(MODEL[::-1])
    (tmp_path / "tiny" / "model.fp32.onnx").unlink()
    (tmp_path / "tiny" / "model.fp32.onnx").symlink_to(tmp_path / "secret")
    with pytest.raises(IntegrityError, match="SHA-256"):
        check_whole(Bundle.open(tmp_path / "tiny"))


@pytest.mark.parametrize("member", ["manifest.json", "manifest.sha256", "model.fp32.onnx"])
def test_broken_and_circular_links_are_refused(tmp_path: Path, member: str) -> None:
    write(tmp_path / "tiny")
    path = tmp_path / "tiny" / member
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.open(tmp_path / "tiny")
    path.unlink()
    path.symlink_to(member)
    with pytest.raises(BundleError):
        Bundle.open(tmp_path / "tiny")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [pipe, device, listening, Path.mkdir])
@pytest.mark.parametrize("member", ["manifest.json", "manifest.sha256", "model.fp32.onnx", ""])
def test_what_is_no_ordinary_file_is_never_opened(tmp_path: Path, make, member: str) -> None:
    """A pipe without a writer would wait for ever."""
    write(tmp_path / "tiny")
    target = tmp_path / "tiny" / member if member else tmp_path / "other.edge"
    target.unlink(missing_ok=True)
    make(target)
    with pytest.raises(IntegrityError, match="missing" if not member and make is Path.mkdir else "not a file"):
        Bundle.open(tmp_path / "tiny" if member else target)

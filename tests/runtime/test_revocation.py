"""Revoked templates are refused wherever they are used, and a list that cannot be trusted revokes all."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import ForeignFileError, RevokedTemplateError, StorageError, UsageError
from edge_sdk.runtime.revocation import RevocationList, revoke
from edge_sdk.runtime.template import new_id

Signer = Callable[..., np.ndarray]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty list."""
    path = tmp_path / "revoked.txt"
    revoke(path)
    return path


@pytest.fixture
def verifier(tiny_bundle: Bundle, path: Path) -> Iterator[Verifier]:
    with Verifier(tiny_bundle, revoked=path) as opened:
        yield opened


def uses(verifier: Verifier, template: Template, picture: np.ndarray) -> list[Callable[[], object]]:
    return [
        lambda: verifier.verify(template, picture),
        lambda: verifier.identify(picture, {"anna": template}),
        lambda: verifier.gallery({"anna": template}),
        lambda: verifier.update(template, picture),
        lambda: verifier.compare(template, verifier.embed(picture)),
    ]


def test_a_revoked_template_is_refused_at_once_wherever_it_is_used(
    verifier: Verifier, path: Path, signer: Signer
) -> None:
    template, other = verifier.enroll(signer(1)), verifier.enroll(signer(1))
    gallery = verifier.gallery({"anna": template, "ben": other})
    assert verifier.verify(template, signer(1))
    assert verifier.identify(signer(1), gallery)
    revoke(path, template.template_id)
    for use in uses(verifier, template, signer(1)):
        with pytest.raises(RevokedTemplateError, match=f"{template.template_id} is revoked, by the list"):
            use()
    with pytest.raises(RevokedTemplateError, match=template.template_id):
        verifier.identify(signer(1), gallery)
    assert verifier.verify(other, signer(1)), "another template of the same person"
    assert verifier.verify(template.renewed(), signer(1))


def test_an_update_keeps_the_id(verifier: Verifier, path: Path, signer: Signer) -> None:
    template = verifier.enroll(signer(1))
    updated = template.updated(verifier.embed(signer(1, height=400)), lambda rows: rows)
    revoke(path, template.template_id)
    with pytest.raises(RevokedTemplateError):
        verifier.verify(updated, signer(1))


def test_a_template_without_an_id_could_be_a_revoked_one(
    verifier: Verifier, tiny_bundle: Bundle, signer: Signer
) -> None:
    bare = msgspec.structs.replace(verifier.enroll(signer(1)), template_id="")
    for use in uses(verifier, bare, signer(1)):
        with pytest.raises(RevokedTemplateError, match="has no id"):
            use()
    with Verifier(tiny_bundle) as without:
        assert without.verify(bare, signer(1))


def test_a_list_that_cannot_be_believed_refuses_every_template(verifier: Verifier, path: Path, signer: Signer) -> None:
    template = verifier.enroll(signer(1))
    path.write_text("anna\n")
    with pytest.raises(StorageError, match="line 1 holds no id"):
        verifier.verify(template, signer(1))
    path.unlink()
    with pytest.raises(StorageError, match="cannot read the list"):
        verifier.verify(template, signer(1))
    revoke(path)
    assert verifier.verify(template, signer(1))


def test_a_verifier_is_not_opened_without_its_list(tiny_bundle: Bundle, tmp_path: Path) -> None:
    for name in ("none", ".", "null\0byte"):
        with pytest.raises(StorageError, match="cannot read the list"):
            Verifier(tiny_bundle, revoked=tmp_path / name)
    for wrong in (["0" * 32], b"revoked.txt", False):
        with pytest.raises(UsageError, match="pass a RevocationList"):
            Verifier(tiny_bundle, revoked=wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_list_that_others_can_write_is_refused(path: Path) -> None:
    path.chmod(0o622)
    with pytest.raises(ForeignFileError, match="can be written by others"):
        RevocationList(path)
    with pytest.raises(ForeignFileError):
        revoke(path, new_id())
    path.chmod(0o644)
    assert not RevocationList(path).ids


def test_a_list_keeps_what_is_written_in_it(path: Path) -> None:
    first, second = new_id(), new_id()
    path.write_text(f"# left the company\n{first}")
    revoke(path, second, first, second)
    assert path.read_text() == f"# left the company\n{first}\n{second}\n"
    assert RevocationList(path).ids == {first, second}
    found = RevocationList(path)
    found.add(third := new_id())
    assert third in found.ids


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_that_people_wrote(path: Path, encoding: str) -> None:
    first, second, third = "ab" * 16, "cd" * 16, "ef" * 16
    path.write_text(f"# left \r\n{first.upper()}\r\n\r\n  {second} # Anna, lost her card\r\n", encoding)
    assert RevocationList(path).ids == {first, second}
    before = path.read_bytes()
    revoke(path, first, third)
    assert path.read_bytes() == before + third.encode() + b"\n"


def test_a_key_in_the_place_of_the_list_is_not_repeated(path: Path) -> None:
    path.write_text("0" * 64 + "\n")
    for ask in (RevocationList, revoke):
        with pytest.raises(StorageError, match="line 1 holds no id") as caught:
            ask(path)
        assert "0" * 32 not in str(caught.value)


def test_a_list_is_not_made_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no folder .*typo"):
        revoke(tmp_path / "typo" / "revoked.txt", new_id())
    assert not list(tmp_path.iterdir())
    with pytest.raises(StorageError, match="cannot write the list"):
        revoke("null\0byte", new_id())


def test_a_full_disk_is_named_and_the_list_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revoke(path, first := new_id())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write the list of revoked .*No space left.*revoked\.txt"):
        revoke(path, new_id())
    assert path.read_text() == f"{first}\n"


@pytest.mark.parametrize("wrong", ["", "anna", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"])
def test_what_is_no_id_is_not_revoked(path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match="no id of one"):
        revoke(path, new_id(), wrong)
    assert path.read_bytes() == b""


def test_threads_that_revoke_at_once_all_count(path: Path) -> None:
    ids = [new_id() for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: revoke(path, one), ids))
    assert RevocationList(path).ids == set(ids)

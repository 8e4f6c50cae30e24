"""Making keys of templates, and those of the system's key store, by a store that is not the machine's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_sdk.errors import ForeignFileError, MissingToolError, TemplateKeyError
from edge_sdk.runtime import template_keys
from edge_sdk.runtime.template_keys import TemplateKey

keyring = pytest.importorskip("keyring", reason="edge-sdk[keyring]")

SECRET = bytes(range(32))
NAME = "keyring:edge-sdk/front door"


class Store(keyring.backend.KeyringBackend):  # type: ignore[misc]
    """A key store in memory."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class Locked(Store):
    """One whose user does not unlock it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("the user did not unlock it")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.KeyringLocked("the user did not unlock it")


@pytest.fixture
def store() -> Iterator[Store]:
    before, own = keyring.get_keyring(), Store()
    keyring.set_keyring(own)
    yield own
    keyring.set_keyring(before)


def test_a_key_of_the_key_store(store: Store) -> None:
    store.kept["edge-sdk", "front door"] = SECRET.hex()
    assert TemplateKey.named(NAME).secret == SECRET
    store.kept["com.example/app", "door"] = SECRET.hex() + "\n"
    assert TemplateKey.named("keyring:com.example/app/door").secret == SECRET, "the name is what follows the last /"


def test_what_the_key_store_does_not_hold(store: Store) -> None:
    with pytest.raises(TemplateKeyError, match=r"holds no keyring:edge-sdk/front door: run `edge-sdk keygen"):
        TemplateKey.named(NAME)
    store.kept["edge-sdk", "front door"] = "hunter2"
    with pytest.raises(TemplateKeyError, match="64 hexadecimal digits") as caught:
        TemplateKey.named(NAME)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("before", ["", "./", "keyring:", "keyring:edge-sdk/", "C:\\"])
@pytest.mark.parametrize("ask", [TemplateKey.named, template_keys.create])
def test_a_key_in_place_of_its_name_is_not_repeated(
    ask: Callable[[str], TemplateKey], before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (SECRET.hex(), SECRET.hex().upper() + "\n"):
        with pytest.raises(TemplateKeyError, match="this is a key, not where it is") as caught:
            ask(before + given)
        assert given.strip() not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_a_hashed_folder_is_no_key_itself(tmp_path: Path) -> None:
    path = tmp_path / SECRET.hex() / "device.key"
    made = template_keys.create(path)
    assert TemplateKey.named(path).id == made.id


@pytest.mark.parametrize("name", ["keyring:", "keyring:edge-sdk", "keyring:/name", "keyring:service/"])
def test_a_name_of_no_entry(store: Store, name: str) -> None:
    with pytest.raises(TemplateKeyError, match="names no entry"):
        TemplateKey.named(name)


def test_a_locked_key_store() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Locked())
    try:
        for ask in (TemplateKey.named, template_keys.create):
            with pytest.raises(TemplateKeyError, match="KeyringLocked: the user did not unlock it"):
                ask(NAME)
    finally:
        keyring.set_keyring(before)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    for ask in (TemplateKey.named, template_keys.create):
        with pytest.raises(MissingToolError, match='with the extra "keyring"'):
            ask(NAME)


# --- new ones ---


def test_a_new_key_in_the_key_store_replaces_none(store: Store) -> None:
    made = template_keys.create(NAME)
    assert TemplateKey.named(NAME).secret == made.secret
    with pytest.raises(TemplateKeyError, match="is there already"):
        template_keys.create(NAME)
    assert TemplateKey.named(NAME).id == made.id


def test_a_key_store_that_keeps_nothing_is_found_out() -> None:
    from keyring.backends import null

    before = keyring.get_keyring()
    keyring.set_keyring(null.Keyring())
    try:
        with pytest.raises(TemplateKeyError, match="did not keep"):
            template_keys.create(NAME)
    finally:
        keyring.set_keyring(before)


def test_a_new_key_in_a_file_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "device.key"
    made = template_keys.create(path)
    assert TemplateKey.named(path).secret == made.secret
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(TemplateKeyError, match="is there already"):
        template_keys.create(path)
    assert path.read_bytes() == before
    assert template_keys.create(tmp_path / "other.key").id != made.id


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_folder_that_others_may_write_keeps_no_key(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(ForeignFileError, match="can be written by others"):
        template_keys.create(tmp_path / "shared" / "device.key")
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_key_that_cannot_be_written_whole_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(template_keys.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        template_keys.create(tmp_path / "device.key")
    assert list(tmp_path.iterdir()) == []

"""Encrypted templates: exact round trips with the key, and refusal of everything else; plain ones only where asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import TemplateError, TemplateKeyError, UsageError
from edge_sdk.runtime import template_layouts
from edge_sdk.runtime.template import EmbeddingTemplate, Template
from edge_sdk.runtime.template_keys import VARIABLE, TemplateKey
from edge_sdk.runtime.template_layouts import ENCRYPTED, TemplateHeader

KEY, OTHER = (TemplateKey(bytes(range(start, start + 32))) for start in (0, 32))
# Of a made-up template, written before templates had ids or could be encrypted.
OF_OLD = (
    b"EDGE-TEMPLATE-1\n"
    + bytes.fromhex("e65d269263378eb55b6a72677e76d129")
    + b"\x88\xa4kind\xaaembeddings\xb2embedding_space_id\xd9\x20"
    + b"f" * 32
    + b"\xaavariant_id\xa9int8.onnx\xaevariant_sha256\xd9\x40"
    + b"0" * 64
    + b"\xabbundle_name\xa4tiny\xa5count\x01\xa3dim\x02\xa6values\xc4\x08"
    + bytes.fromhex("0000803f 0000003f")
)


def template(**changes: object) -> EmbeddingTemplate:
    fields = {
        "embedding_space_id": "f" * 32,
        "variant_id": "int8.onnx",
        "variant_sha256": "0" * 64,
        "bundle_name": "tiny",
        "count": 1,
        "dim": 2,
        "values": np.array([1.0, 0.5], "<f4").tobytes(),
        "template_id": "12" * 16,
    }
    return EmbeddingTemplate(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


# --- with the key ---


def test_bytes_and_files_come_back_equal(tmp_path: Path) -> None:
    made = template()
    assert Template.from_bytes(made.to_bytes(key=KEY), key=KEY) == made
    made.save(tmp_path / "person", key=KEY)
    assert Template.load(tmp_path / "person", key=KEY.secret) == made
    assert Template.is_at(tmp_path / "person")
    assert [path.name for path in tmp_path.iterdir()] == ["person"]


def test_nothing_of_the_person_is_readable_and_no_two_files_are_alike() -> None:
    first, second = (template().to_bytes(key=KEY) for _ in range(2))
    assert first != second
    assert len(first) == len(second)
    for data in (first, second):
        assert template().values not in data
        assert b"tiny" not in data
    plain = template().to_bytes(plain=True)
    assert template().values in plain
    assert plain == template().to_bytes(plain=True)


def test_the_header_is_readable_without_the_key(tmp_path: Path) -> None:
    template().save(tmp_path / "person", key=KEY)
    assert Template.header(tmp_path / "person") == TemplateHeader(
        template_id="12" * 16, key_id=KEY.id, embedding_space_id="f" * 32, variant_sha256="0" * 64
    )
    template().save(tmp_path / "person", plain=True)
    assert Template.header(tmp_path / "person") is None


def test_a_template_without_an_id_gets_one_when_it_is_encrypted() -> None:
    bare = template(template_id="")
    found = Template.from_bytes(bare.to_bytes(key=KEY), key=KEY)
    assert len(found.template_id) == 32
    assert msgspec.structs.replace(found, template_id="") == bare
    assert Template.from_bytes(bare.to_bytes(plain=True)) == bare


# --- what is refused ---


def test_every_flipped_byte_and_every_truncation_is_found() -> None:
    data = template().to_bytes(key=KEY)
    for at in range(len(data)):
        for bit in (1, 0x80):
            damaged = bytearray(data)
            damaged[at] ^= bit
            with pytest.raises(TemplateError):
                Template.from_bytes(bytes(damaged), key=KEY)
        with pytest.raises(TemplateError):
            Template.from_bytes(data[:at], key=KEY)
    with pytest.raises(TemplateError):
        Template.from_bytes(data + b"\0", key=KEY)


@given(st.binary(max_size=300), st.booleans())
def test_whatever_follows_the_magic_is_refused(rest: bytes, short_header: bool) -> None:
    header = b"\x00\x00" if short_header else b""
    for data in (ENCRYPTED + header + rest, ENCRYPTED[:-1] + rest, rest):
        with pytest.raises(TemplateError):
            Template.from_bytes(data, key=KEY)


def parts(data: bytes) -> tuple[bytes, bytes]:
    """What is readable, and the rest."""
    end = len(ENCRYPTED) + 2 + int.from_bytes(data[len(ENCRYPTED) : len(ENCRYPTED) + 2], "big")
    return data[:end], data[end:]


@pytest.mark.parametrize("changed", ["template_id", "embedding_space_id", "variant_sha256"])
def test_a_header_of_another_template_of_the_same_key_is_refused(changed: str) -> None:
    ours, theirs = template(), template(**{changed: "34" * 16})
    (header, _), (_, sealed) = parts(theirs.to_bytes(key=KEY)), parts(ours.to_bytes(key=KEY))
    with pytest.raises(TemplateError, match="changed or damaged"):
        Template.from_bytes(header + sealed, key=KEY)


def test_a_header_that_says_something_else_than_its_record_is_refused() -> None:
    """No writer of edge-sdk makes one, and who has the key could."""
    header = TemplateHeader(template_id="34" * 16, key_id=KEY.id, embedding_space_id="f" * 32, variant_sha256="0" * 64)
    data = template_layouts.encrypted(msgspec.msgpack.encode(template()), header, KEY)
    with pytest.raises(TemplateError, match="header is of another"):
        Template.from_bytes(data, key=KEY)


def test_a_payload_that_nobody_could_have_enrolled_is_refused_with_the_right_key() -> None:
    header = TemplateHeader(template_id="12" * 16, key_id=KEY.id, embedding_space_id="f" * 32, variant_sha256="0" * 64)
    payload = msgspec.msgpack.encode(template())
    for nonsense in (b"", payload[:-1], payload.replace(b"\xa3dim\x02", b"\xa3dim\x03"), payload + b"\0"):
        with pytest.raises(TemplateError):
            Template.from_bytes(template_layouts.encrypted(nonsense, header, KEY), key=KEY)


def test_another_key_and_none() -> None:
    data = template().to_bytes(key=KEY)
    with pytest.raises(TemplateKeyError, match=f"by the key {KEY.id}, this is {OTHER.id}: name that one"):
        Template.from_bytes(data, key=OTHER)
    with pytest.raises(TemplateKeyError, match=r"encrypted by the key .* name it"):
        Template.from_bytes(data)
    with pytest.raises(TemplateKeyError, match="encrypted by the key"):
        Template.from_bytes(data, plain=True)
    renamed = data.replace(KEY.id.encode(), OTHER.id.encode())
    with pytest.raises(TemplateError, match="changed or damaged"):
        Template.from_bytes(renamed, key=OTHER)


def test_the_file_is_named(tmp_path: Path) -> None:
    template().save(tmp_path / "person", key=KEY)
    for asked, kind in (({}, TemplateKeyError), ({"key": OTHER}, TemplateKeyError)):
        with pytest.raises(kind, match=r"person: template is encrypted"):
            Template.load(tmp_path / "person", **asked)
    (tmp_path / "person").write_bytes((tmp_path / "person").read_bytes()[:40])
    with pytest.raises(TemplateError, match=r"person: template is truncated"):
        Template.load(tmp_path / "person", key=KEY)
    with pytest.raises(TemplateError, match=r"person: template is truncated"):
        Template.header(tmp_path / "person")


def test_another_persons_template_in_the_place_of_one(tmp_path: Path) -> None:
    """The key opens both: only the id tells."""
    anna, ben = template(), template(template_id="34" * 16)
    ben.save(tmp_path / "anna.template", key=KEY)
    assert Template.load(tmp_path / "anna.template", key=KEY) == ben
    with pytest.raises(TemplateError, match=rf"anna\.template: template has the id {'34' * 16}, not {'12' * 16}"):
        Template.load(tmp_path / "anna.template", key=KEY, template_id=anna.template_id)
    anna.save(tmp_path / "anna.template", key=KEY)
    assert Template.load(tmp_path / "anna.template", key=KEY, template_id=anna.template_id) == anna
    with pytest.raises(TemplateError, match=r"id \(none\)"):
        Template.from_bytes(OF_OLD, template_id=anna.template_id)


# --- plain ones ---


def test_saving_asks_for_a_key_or_plain_and_not_for_both(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"key=.*--key FILE.*{VARIABLE}.*plain=True"):
        template().save(tmp_path / "person")
    with pytest.raises(UsageError, match="not both"):
        template().save(tmp_path / "person", key=KEY, plain=True)
    assert list(tmp_path.iterdir()) == []


def test_a_plain_template_in_the_place_of_an_encrypted_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody who can write the file can make one, of themselves perhaps."""
    template().save(tmp_path / "person", plain=True)
    assert Template.load(tmp_path / "person") == template()
    with pytest.raises(TemplateError, match="anybody who can write the file"):
        Template.load(tmp_path / "person", key=KEY)
    monkeypatch.setenv(VARIABLE, str(key_file(tmp_path)))
    with pytest.raises(TemplateError, match="anybody who can write the file"):
        Template.load(tmp_path / "person")
    assert Template.load(tmp_path / "person", plain=True) == template()


def test_a_plain_template_that_nobody_asked_for_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    data = template().to_bytes(plain=True)
    Template.from_bytes(data, plain=True)
    assert not caplog.records
    Template.from_bytes(data)
    (record,) = caplog.records
    assert (record.levelname, "whoever can write it" in record.message) == ("WARNING", True)
    with caplog.at_level("INFO"):
        Template.from_bytes(template().to_bytes(key=KEY), key=KEY)
    assert caplog.records[-1].message == f"template {'12' * 16} is encrypted by the key {KEY.id}"


def test_a_template_of_before_is_read_and_can_be_encrypted(tmp_path: Path) -> None:
    (tmp_path / "person").write_bytes(OF_OLD)
    found = Template.load(tmp_path / "person")
    assert found == template(template_id="")
    assert found.to_bytes(plain=True) == OF_OLD, "layout 1 is what it was"
    found.save(tmp_path / "person", key=KEY)
    assert Template.load(tmp_path / "person", key=KEY).embeddings.tolist() == [[1.0, 0.5]]


# --- where keys are ---


def key_file(folder: Path, content: str = KEY.secret.hex(), mode: int = 0o600) -> Path:
    path = folder / "device.key"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_key_of_a_file_and_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path, KEY.secret.hex().upper() + "\n")
    data = template().to_bytes(key=path)
    assert Template.from_bytes(data, key=str(path)) == Template.from_bytes(data, key=KEY)
    monkeypatch.setenv(VARIABLE, str(path))
    assert Template.from_bytes(template().to_bytes()) == template()
    assert Template.from_bytes(template().to_bytes(key=OTHER), key=OTHER) == template(), "what is given counts"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/device.key")
    assert Template.from_bytes(template().to_bytes()) == template()
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(UsageError):
        template().to_bytes()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(TemplateKeyError, match="none"):
        template().to_bytes()
    assert template().to_bytes(plain=True)


@pytest.mark.parametrize("secret", [b"", b"\0" * 31, b"\0" * 33, "0" * 32, bytearray(32), None, 5])
def test_a_key_of_another_length_or_type(secret: object) -> None:
    with pytest.raises(TemplateKeyError, match="a template's key is 32 bytes"):
        TemplateKey(secret)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "0" * 63, "0" * 65, "0" * 63 + "g", "-----BEGIN PRIVATE KEY-----", "0" * 2000])
def test_a_file_that_holds_no_key(tmp_path: Path, content: str) -> None:
    with pytest.raises(TemplateKeyError, match=r"must be 64 hexadecimal digits, .* bring back a copy"):
        template().to_bytes(key=key_file(tmp_path, content))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(TemplateKeyError, match=r"device\.key can be (read|written) by others \(chmod"):
        template().to_bytes(key=key_file(tmp_path, mode=mode))


@pytest.mark.parametrize("name", ["none", ".", "null\0byte"])
def test_a_key_file_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateKeyError, match="cannot take the key"):
        template().to_bytes(key=tmp_path / name)


def test_a_key_does_not_show_itself() -> None:
    assert KEY.secret.hex() not in f"{KEY!r} {KEY} {KEY.id}"
    assert KEY.id in repr(KEY)
    assert KEY.id != OTHER.id
    assert TemplateKey(os.urandom(32)).id != TemplateKey(os.urandom(32)).id

"""Templates and their plain layout: exact round trips, and refusal of everything damaged."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.errors import StorageError, TemplateError, UsageError
from edge_sdk.runtime import template_keys
from edge_sdk.runtime.template import EmbeddingTemplate, GaussianMixtureTemplate, Template
from edge_sdk.runtime.template_layouts import FAMILY, PLAIN
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

VALUES = np.random.default_rng(0).standard_normal((3, 4)).astype("<f4")


def template(**changes: object) -> EmbeddingTemplate:
    fields = {
        "embedding_space_id": "f" * 32,
        "variant_id": "int8.onnx",
        "variant_sha256": "0" * 64,
        "bundle_name": "tiny",
        "count": 3,
        "dim": 4,
        "values": VALUES.tobytes(),
    }
    return EmbeddingTemplate(**(fields | changes))  # type: ignore[arg-type]


def test_bytes_and_files_come_back_equal(tmp_path: Path) -> None:
    made = template()
    assert Template.from_bytes(made.to_bytes(plain=True)) == made
    made.save(tmp_path / "person", plain=True)
    assert Template.load(tmp_path / "person") == made
    assert Template.load(str(tmp_path / "person")).embeddings.tolist() == VALUES.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["person"]


def test_a_template_cannot_be_changed() -> None:
    made = template()
    with pytest.raises(AttributeError):
        made.count = 2  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        made.embeddings[0] = 1


def test_every_flipped_byte_and_every_truncation_is_found() -> None:
    data = template().to_bytes(plain=True)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(TemplateError):
            Template.from_bytes(bytes(damaged))
        with pytest.raises(TemplateError):
            Template.from_bytes(data[:at])
    with pytest.raises(TemplateError):
        Template.from_bytes(data + b"\0")


def test_a_newer_layout_says_so() -> None:
    with pytest.raises(TemplateError, match="version"):
        Template.from_bytes(template().to_bytes(plain=True).replace(b"TEMPLATE-1", b"TEMPLATE-3"))
    with pytest.raises(TemplateError, match="not a template"):
        Template.from_bytes(b"\x89PNG")


def test_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "person").write_bytes(template().to_bytes(plain=True)[:-1])
    with pytest.raises(TemplateError, match=r"person: template is truncated"):
        Template.load(tmp_path / "person")


def test_another_kind_or_field_is_refused() -> None:
    fields = msgspec.to_builtins(template(), builtin_types=(bytes,))
    for changed in ({**fields, "kind": "gmm"}, {**fields, "extra": 1}, {**fields, "count": "3"}, {**fields, "dim": 5}):
        payload = msgspec.msgpack.encode(changed)
        with pytest.raises(TemplateError):
            Template.from_bytes(PLAIN + hashlib.sha256(payload).digest()[:16] + payload)


def sealed(payload: bytes) -> bytes:
    """A template's file of any payload, with the right checksum."""
    return PLAIN + hashlib.sha256(payload).digest()[:16] + payload


def test_a_right_checksum_over_nonsense_is_refused() -> None:
    payload = template().to_bytes(plain=True)[len(PLAIN) + 16 :]
    assert Template.from_bytes(sealed(payload)) == template()
    (fields,) = {payload[0] & 0x0F}  # a msgpack map of so many fields
    for nonsense in (
        b"",
        payload.replace(b"tiny", b"t\xffny"),
        payload.replace(b"count", b"co\xffnt"),
        payload.replace(b"embeddings", b"embedd\xff\xfes"),
        bytes([0x80 | fields + 1]) + payload[1:] + msgspec.msgpack.encode("count") + msgspec.msgpack.encode(3),
        payload + b"\0",
        payload.replace(b"\xa5count\x03", b"\xa5count\xcd\x00\x03"),  # the number in three bytes
        b"\x91" * 100_000,
        b"\x81\xa1x" * 100_000,
    ):
        with pytest.raises(TemplateError):
            Template.from_bytes(sealed(nonsense))


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 2**63, "dim": 2**63},
        {"count": 2**40, "dim": 2**22},
        {"dim": 10**9},
        {"bundle_name": "n" * 10**6},
        {"variant_id": "n" * 1001},
        {"template_id": "0" * 33},
        {"template_id": "A" * 32},
        {"template_id": "0" * 32 + "\n"},
    ],
)
def test_absurd_numbers_and_names_are_refused(changes: dict[str, object]) -> None:
    for made in (template(), density()):
        fields = msgspec.to_builtins(made, builtin_types=(bytes,)) | changes
        with pytest.raises(TemplateError):
            Template.from_bytes(sealed(msgspec.msgpack.encode(fields)))


def test_bytes_of_a_database(tmp_path: Path) -> None:
    data = template().to_bytes(plain=True)
    assert Template.from_bytes(bytearray(data)) == Template.from_bytes(memoryview(data)) == template()
    for other in (data.hex(), 5, None, [1]):
        with pytest.raises(TemplateError, match="from bytes, not"):
            Template.from_bytes(other)  # type: ignore[arg-type]


def test_what_nothing_would_load_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.runtime.template.MAX_BYTES", len(template().to_bytes(plain=True)))
    template().save(tmp_path / "person", plain=True)
    assert Template.load(tmp_path / "person") == template()
    with pytest.raises(TemplateError, match="fewer references"):
        template(bundle_name="tiny+").save(tmp_path / "person", plain=True)
    (tmp_path / "person").write_bytes(template(bundle_name="tiny+").to_bytes(plain=True))
    with pytest.raises(TemplateError, match="more than"):
        Template.load(tmp_path / "person")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_readers(tmp_path: Path) -> None:
    template().save(tmp_path / "person", plain=True)
    assert (tmp_path / "person").stat().st_mode & 0o777 == 0o600
    (tmp_path / "person").chmod(0o640)
    template(bundle_name="other").save(tmp_path / "person", plain=True)
    assert (tmp_path / "person").stat().st_mode & 0o777 == 0o640
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data/person")
    template().save(tmp_path / "link", plain=True)
    assert (tmp_path / "link").is_symlink()
    assert Template.load(tmp_path / "data" / "person") == template()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices with a path")
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device")):
        assert not Template.is_at(path)
        with pytest.raises(TemplateError, match=f"is {kind}, not a file"):
            Template.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0, "values": b""},
        {"count": 2},
        {"dim": -4, "count": -3},
        {"values": np.zeros((3, 4), "<f4").tobytes()},
        {"values": np.full((3, 4), np.nan, "<f4").tobytes()},
        {"values": np.full((3, 4), np.inf, "<f4").tobytes()},
    ],
)
def test_values_that_cannot_be_scored_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(TemplateError):
        template(**changes)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", "null\0byte", "n" * 10_000, "\ud800"):
        assert not Template.is_at(path)
        with pytest.raises(TemplateError, match="cannot read"):
            Template.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template().save(tmp_path / "person", plain=True)
    before = (tmp_path / "person").read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="person cannot be written: disk full"):
        template(bundle_name="other").save(tmp_path / "person", plain=True)
    assert (tmp_path / "person").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_names_that_no_file_can_have_are_not_written(tmp_path: Path) -> None:
    for name in ("n" * 10_000, "null\0byte", "folder/"):
        with pytest.raises(StorageError, match="cannot be written"):
            template().save(f"{tmp_path}/{name}", plain=True)
    assert not list(tmp_path.iterdir())


def test_no_file_of_something_else_is_replaced(tmp_path: Path) -> None:
    key = tmp_path / "device.key"
    template_keys.create(key)
    for name, held in (("vendor.pem", b"-----BEGIN PRIVATE KEY-----\n"), ("revoked.txt", b""), ("app.edge", b"PK")):
        (tmp_path / name).write_bytes(held)
    (tmp_path / "link").symlink_to("vendor.pem")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path in before:
        with pytest.raises(UsageError, match=f"{path.name} exists and is no template: not replaced"):
            template().save(path, key=key)
        with pytest.raises(UsageError, match="is no template"):
            Template.check_writable(path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "damaged").write_bytes(FAMILY)
    template().save(tmp_path / "damaged", key=key)
    assert Template.load(tmp_path / "damaged", key=key).count == 3


# --- densities ---

MIXTURE = GaussianMixture(np.array([0.25, 0.75]), VALUES[:2].astype(np.float64), np.abs(VALUES[1:]) + 0.5)


def density(**changes: object) -> GaussianMixtureTemplate:
    binding = {
        "embedding_space_id": "f" * 32,
        "variant_id": "int8.onnx",
        "variant_sha256": "0" * 64,
        "bundle_name": "tiny",
        "count": 5,
    }
    return msgspec.structs.replace(GaussianMixtureTemplate.of(MIXTURE, **binding), **changes)


def test_each_kind_comes_back_as_itself(tmp_path: Path) -> None:
    for made, kind in ((template(), EmbeddingTemplate), (density(), GaussianMixtureTemplate)):
        assert Template.from_bytes(made.to_bytes(plain=True)) == made
        made.save(tmp_path / made.kind, plain=True)
        loaded = Template.load(tmp_path / made.kind)
        assert isinstance(loaded, kind)
        assert loaded == made
    found = density().content
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(found, name), getattr(MIXTURE, name))
    assert (density().count, density().modes, density().dim) == (5, 2, 4)
    with pytest.raises(ValueError, match="read-only"):
        found.means[0] = 1


def test_every_flipped_byte_of_a_density_is_found() -> None:
    data = density().to_bytes(plain=True)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(TemplateError):
            Template.from_bytes(bytes(damaged))


def table(**changes: object) -> bytes:
    parts = {"weights": MIXTURE.weights, "means": MIXTURE.means, "variances": MIXTURE.variances} | changes
    return np.hstack([parts["weights"][:, None], parts["means"], parts["variances"]]).astype("<f4").tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"modes": 0, "values": b""},
        {"modes": 3},
        {"dim": 3},
        {"modes": -2, "dim": -4},
        {"count": 0},
        {"values": table(weights=np.array([0.25, 0.7]))},
        {"values": table(weights=np.array([0.0, 1.0]))},
        {"values": table(weights=np.array([-0.5, 1.5]))},
        {"values": table(variances=np.zeros((2, 4)))},
        {"values": table(means=np.full((2, 4), np.nan))},
        {"values": table(variances=np.full((2, 4), np.inf))},
    ],
)
def test_densities_that_cannot_be_scored_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(TemplateError):
        density(**changes)


@pytest.mark.parametrize("made", [template(), density()])
def test_logs_and_tracebacks_show_nothing_of_the_person(made: Template) -> None:
    named = msgspec.structs.replace(made, template_id="0" * 32)
    shown = [repr(named), str(named), f"{[named]}", str(dict(named.__rich_repr__()))]
    assert shown[0].startswith(f"{type(made).__name__}(template_id='{'0' * 32}', bundle_name='tiny'")
    for text in shown:
        assert "values" not in text
        assert len(text) < 200


def test_a_density_keeps_no_references_to_add_to() -> None:
    with pytest.raises(TemplateError, match=r"gaussian_mixture keeps no references.*enroll anew"):
        density().updated(VALUES, lambda rows: rows)


def test_a_template_of_no_kind_is_none() -> None:
    with pytest.raises(TemplateError):
        Template.of(VALUES, bundle_name="tiny")
    bare = Template(embedding_space_id="", variant_id="", variant_sha256="", bundle_name="", count=1)
    with pytest.raises(TemplateError):
        _ = bare.content
    with pytest.raises(TemplateError):
        Template.from_bytes(bare.to_bytes(plain=True))

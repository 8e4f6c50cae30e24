"""``keygen signing``, ``sign``, ``verify-signature``, and what commands that write bundles do about signatures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.bundle import Bundle, SigningKey, Trust, signing
from edge_sdk.cli import main
from edge_sdk.errors import SignatureError
from edge_sdk.files import CONFIG_VARIABLE

from ..bundle.made import edit_manifest
from ..paths import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle) -> Path:
    """Where a new user works: a key, a bundle and no settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings"))
    assert main(["keygen", "signing", "vendor.pem"]) == 0
    shutil.copytree(tiny_bundle.path, tmp_path / "door")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_a_key_pair_is_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "keygen", "signing", "other.pem")
    key = SigningKey.read("other.pem")
    assert (found["key"], found["public_key"], found["key_id"]) == ("other.pem", "other.pub.pem", key.key_id)
    assert signing.public_key(Path("other.pub.pem").read_bytes(), "it") == key.public
    if os.name == "posix":
        assert Path("other.pem").stat().st_mode & 0o077 == 0


def test_a_key_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("vendor.pem").read_bytes()
    assert main(["keygen", "signing", "vendor.pem"]) == 3
    assert "is there already" in capsys.readouterr().err
    Path("vendor.pem").rename("kept.pem")
    assert main(["keygen", "signing", "vendor.pem"]) == 3
    assert Path("kept.pem").read_bytes() == before
    assert main(["keygen", "signing", "."]) == main(["keygen", "signing", ""]) == 3
    assert main(["keygen", "signing", "kept.pem/key.pem"]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert not Path("vendor.pem").exists()


@pytest.mark.skipif(os.name != "posix", reason="links and permissions are POSIX")
@pytest.mark.usefixtures("shared_group")
def test_a_key_is_made_only_where_it_can_be_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(name: str, code: int = 3) -> str:
        return str(said(capsys, "keygen", "signing", name, code=code)["error"]["type"])

    (folder / "open").mkdir()
    for bits in (0o775, 0o777):
        (folder / "open").chmod(bits)
        assert error("open/key.pem") == "ForeignFileError"
    for link in ("key.pem", "other.pub.pem"):
        (folder / link).symlink_to("nowhere")
    assert error("key.pem") == error("other.pem") == "StorageError"
    assert error("keyring:edge-sdk/vendor", code=2) == "UsageError"
    assert sorted(one.name for one in folder.iterdir()) == [
        "door", "key.pem", "open", "other.pub.pem", "vendor.pem", "vendor.pub.pem",
    ]  # fmt: skip
    assert not list((folder / "open").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.usefixtures("shared_group")
def test_a_trust_file_takes_the_public_key_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0o002)
    try:
        assert main(["keygen", "signing", "new/vendor.pem"]) == 0
    finally:
        os.umask(before)
    (folder / "new/trust.json").write_text('{"keys": ["vendor.pub.pem"]}')
    (folder / "new/trust.json").chmod(0o644)
    assert Trust.read(folder / "new/trust.json").public_keys


@pytest.mark.parametrize("name", ["door", "door.edge"])
def test_sign_and_verify(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    key_id = SigningKey.read("vendor.pem").key_id
    where = ["./door"] if name == "door" else ["./door", "--out", name]
    signed = said(capsys, "sign", *where, "--key", "vendor.pem")
    assert signed["signed_by"] == [key_id]
    found = said(capsys, "verify-signature", f"./{name}", "--key", "vendor.pub.pem", "--minimum-version", "1.0")
    assert (found["id"], found["signed_by"]) == (signed["id"], [key_id])
    refused = said(
        capsys, "verify-signature", f"./{name}", "--key", "vendor.pub.pem", "--minimum-version", "1.1", code=3
    )
    assert refused["error"]["type"] == "RollbackError"


def test_a_bundle_that_was_changed_is_not_signed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    edit_manifest(folder / "door", "version", value="1.1")
    refused = said(capsys, "sign", "./door", "--key", "vendor.pem", code=3)
    assert refused["error"]["type"] == "SignatureError"
    assert main(["verify-signature", "./door", "--key", "vendor.pub.pem"]) == 3


def test_keys_whose_signature_is_gone_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = SigningKey.read("vendor.pem"), SigningKey.create("new.pem")
    assert said(capsys, "sign", "./door", "--key", "vendor.pem")["no_longer_signed_by"] == []
    both = said(capsys, "sign", "./door", "--key", "vendor.pem", "new.pem")
    assert (both["signed_by"], both["no_longer_signed_by"]) == ([old.key_id, new.key_id], [])
    alone = said(capsys, "sign", "./door", "--key", "new.pem", "--out", "new.edge")
    assert (alone["signed_by"], alone["no_longer_signed_by"]) == ([new.key_id], [old.key_id])
    assert main(["sign", "./door", "--key", "new.pem"]) == 0
    assert f"no longer signed with {old.key_id[:12]}" in capsys.readouterr().out


def test_what_verify_signature_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: str, code: int = 3) -> str:
        return str(said(capsys, "verify-signature", *arguments, code=code)["error"]["type"])

    assert main(["keygen", "signing", "stranger.pem"]) == 0
    assert error("./door", "--key", "vendor.pub.pem") == "SignatureError"  # none
    assert error("deepsign", "--key", "vendor.pub.pem") == "SignatureError"  # shipped, which nobody signed
    assert error("./door", code=2) == "UsageError"  # nobody is trusted
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    assert error("./door", "--key", "stranger.pub.pem") == "SignatureError"
    assert error("./door", "--key", "vendor.pem") == "StorageError"  # the private key
    assert error("./door", "--key", "missing.pem") == "StorageError"
    assert error("./door", "--key", "vendor.pub.pem", "--minimum-version", "new", code=2) == "UsageError"
    assert error("./door", "--key", "vendor.pub.pem", "--minimum-version", "", code=2) == "UsageError"
    model = next(Path("door").glob("model.*"))
    model.write_bytes(model.read_bytes()[::-1])
    assert error("./door", "--key", "vendor.pub.pem") == "IntegrityError"


def test_the_trust_file_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "settings").mkdir()
    shutil.move("vendor.pub.pem", "settings")
    (folder / "settings/trust.json").write_text('{"keys": ["vendor.pub.pem"]}')
    for path in (folder / "settings", *(folder / "settings").iterdir()):
        path.chmod(path.stat().st_mode & ~0o022)
    assert main(["selftest", "./door"]) == 3
    assert "SignatureError" in capsys.readouterr().err
    assert "has no signature" in said(capsys, "inspect", "./door")["signature"]["objection"]
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    key_id = SigningKey.read("vendor.pem").key_id
    assert said(capsys, "verify-signature", "./door")["signed_by"] == [key_id]
    signature = said(capsys, "inspect", "./door")["signature"]
    assert signature == {
        "keys": [key_id], "damaged": False, "shipped": False, "policy": "require", "objection": None
    }  # fmt: skip
    assert main(["inspect", "./door"]) == 0
    assert f"{key_id[:12]}; policy require: opens here" in capsys.readouterr().out
    assert main(["inspect", "deepsign"]) == 0
    assert "comes with edge-sdk; policy require: opens here" in capsys.readouterr().out
    (folder / "door/signature.json").write_text("{}")
    signature = said(capsys, "inspect", "./door")["signature"]
    assert (signature["keys"], signature["damaged"], "damaged" in signature["objection"]) == ([], True, True)
    (folder / "settings/trust.json").unlink()
    signature = said(capsys, "inspect", "./door")["signature"]
    assert (signature["damaged"], signature["policy"], signature["objection"]) == (True, "off", None)
    assert main(["inspect", "./door"]) == 0
    assert "damaged; policy off: opens here" in capsys.readouterr().out


def test_inspect_opens_a_bundle_though_the_trust_file_cannot_be_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    monkeypatch.setenv("EDGE_SDK_TRUST", str(folder / "missing.json"))
    assert main(["selftest", "./door"]) == 3
    signature = said(capsys, "inspect", "./door")["signature"]
    assert (signature["keys"], signature["policy"]) == ([SigningKey.read("vendor.pem").key_id], None)
    assert "missing.json is missing" in signature["objection"]
    assert main(["inspect", "./door"]) == 0
    assert "policy unknown: the trust file" in capsys.readouterr().out


def test_verify_signature_tells_only_of_signatures_that_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another signature takes the place of the one that was checked, before it is told."""
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    opened = Bundle.open

    def changed(source: str, *, trust: Trust) -> Bundle:
        bundle = opened(source, trust=trust)
        false = signing.KeySignature(key_id=SigningKey.read("vendor.pem").key_id, signature=bytes(64))
        Path("door/signature.json").write_bytes(signing.encode([false]))
        return bundle

    monkeypatch.setattr(Bundle, "open", changed)
    refused = said(capsys, "verify-signature", "./door", "--key", "vendor.pub.pem", code=3)
    assert refused["error"]["type"] == "SignatureError"


def test_a_warning_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "settings").mkdir(mode=0o700)
    (folder / "settings/trust.json").write_text('{"policy": "warn"}')
    (folder / "settings/trust.json").chmod(0o600)
    assert main(["inspect", "./door"]) == 0
    assert "warning: door has no signature; it is opened" in capsys.readouterr().err


def test_a_slice_is_signed_or_says_that_it_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trust = Trust(keys=["vendor.pub.pem"])
    slice_door = ("slice", "./door", "--precision", "int8", "--out", "small")
    assert said(capsys, *slice_door)["signed"] is False
    assert main(list(slice_door)) == 0
    assert "not signed" not in capsys.readouterr().out  # nor was the bundle
    assert main(["sign", "./door", "--key", "vendor.pem"]) == 0
    assert said(capsys, *slice_door)["signed"] is False
    assert main(list(slice_door)) == 0
    assert "not signed: the signature that was there does not hold" in capsys.readouterr().out
    with pytest.raises(SignatureError):
        Bundle.open("./small", trust=trust)
    assert said(capsys, *slice_door, "--sign-key", "vendor.pem")["signed"] is True
    Bundle.open("./small", trust=trust)
    shutil.rmtree("small")
    assert main([*slice_door, "--sign-key", "missing.pem"]) == 3
    assert not Path("small").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_a_bundle_is_signed_with_openssl_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the commands of docs/trust.md, run as they stand there."""
    for old in folder.glob("vendor*"):
        old.unlink()
    keys, signing_commands = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "trust.md").read_text(), re.DOTALL)
    *commands, check = signing_commands.splitlines()
    for lines, where in ((keys, folder), ("\n".join(commands), folder / "door")):
        subprocess.run(["sh", "-e", "-c", lines], cwd=where, check=True, capture_output=True, timeout=60)
    monkeypatch.chdir(folder / "door")
    found = said(capsys, *check.removeprefix("edge-sdk ").split())
    assert found["signed_by"] == [SigningKey.read(folder / "vendor.pem").key_id]


def test_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "./door"]) == 2
    assert main(["sign", "deepsign", "--key", "vendor.pem"]) == 2
    assert "sign a copy" in capsys.readouterr().err
    assert main(["sign", "./door", "--key", "vendor.pub.pem"]) == 3
    assert "vendor.pub.pem is a public key: sign with the private key" in capsys.readouterr().err
    assert not Path("door/signature.json").exists()

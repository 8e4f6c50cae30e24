"""``revoke`` and ``renew``: what is refused from then on, and that an interrupted renewal loses nothing."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.cli import main
from edge_sdk.runtime import Template, template_keys


@pytest.fixture
def template(pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """By the key of the environment."""
    path = str(tmp_path / "person.template")
    assert main(["enroll", pictures[0], "-o", path, "--bundle", bundle]) == 0
    capsys.readouterr()
    return path


@pytest.fixture
def new_key(tmp_path: Path) -> str:
    template_keys.create(tmp_path / "new.key")
    return str(tmp_path / "new.key")


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_revoked_templates_are_refused(
    template: str, pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked, copy, id_ = str(tmp_path / "revoked.txt"), tmp_path / "copy.template", Template.load(template).template_id
    copy.write_bytes(Path(template).read_bytes())
    options = ["--bundle", bundle, "--revoked", revoked, "--json"]
    assert main(["verify", template, pictures[0], *options]) == 3
    assert said(capsys)["error"]["type"] == "StorageError", "there is no such list"
    assert main(["revoke", "0" * 32, "--list", revoked, "--json"]) == 0
    assert said(capsys)["count"] == 1
    assert main(["verify", template, pictures[0], *options]) == 0
    capsys.readouterr()
    assert main(["revoke", template, "--list", revoked, "--json"]) == 0
    found = said(capsys)
    assert (found["list"], found["revoked"], found["count"]) == (revoked, [id_], 2)
    for words in (
        ["verify", template, pictures[0]],
        ["verify", str(copy), pictures[0]],
        ["identify", pictures[0], template],
        ["enroll", pictures[0], "--update", template],
    ):
        assert main([*words, *options]) == 3
        assert said(capsys)["error"]["type"] == "RevokedTemplateError"


def test_an_id_that_somebody_put_into_a_file_is_found_out_by_the_key(
    template: str, template_key: Path, new_key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked, own, other = str(tmp_path / "revoked.txt"), Template.load(template).template_id, "0" * 32
    words = ["revoke", template, "--list", revoked]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"unchecked without --key: {own}"
    assert main([*words, "--key", str(template_key), "--json"]) == 0
    found = said(capsys)
    assert (found["revoked"], found["unchecked"]) == ([own], [])
    Path(template).write_bytes(Path(template).read_bytes().replace(own.encode(), other.encode(), 1))
    before = Path(revoked).read_bytes()
    assert main([*words, "--key", str(template_key)]) == 3, "its header was changed"
    assert main([*words, "--key", new_key]) == 3, "another key"
    assert Path(revoked).read_bytes() == before
    assert main([*words, "--json"]) == 0
    assert said(capsys)["unchecked"] == [other]


def test_what_cannot_be_revoked(
    template: str, pictures: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked = tmp_path / "revoked.txt"
    assert main(["revoke", template, "anna", "--list", str(revoked)]) == 2
    assert main(["revoke", pictures[0], "--list", str(revoked)]) == 2
    assert not revoked.exists()
    revoked.write_text("# mine\nanna\n")
    assert main(["revoke", template, "--list", str(revoked)]) == 3
    assert "no list of revoked templates" in capsys.readouterr().err
    assert revoked.read_text() == "# mine\nanna\n"


def test_a_new_list_is_seen(template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    revoked = tmp_path / "revoked.txt"
    words = ["revoke", "0" * 32, "--list", str(revoked)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{revoked}: a new list, 1 revoked now, 1 in all\n"
    assert main(["revoke", template, *words[2:]]) == 0
    assert capsys.readouterr().out.startswith(f"{revoked}: added to, 1 revoked now, 2 in all\n")
    assert main([*words[:-1], str(tmp_path / "typo" / "revoked.txt")]) == 3
    assert "StorageError" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
def test_a_disk_without_room_is_an_error_of_storage(
    template: str, pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import resource

    before, revoked = Path(template).read_bytes(), tmp_path / "revoked.txt"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for words in (
        ["enroll", pictures[0], "-o", str(tmp_path / "new.template"), "--bundle", bundle],
        ["renew", template],
        ["revoke", template, "--list", str(revoked)],
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            assert main([*words, "--json"]) == 3
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        found = said(capsys)["error"]
        assert (found["type"], "File too large" in found["message"]) == ("StorageError", True)
    assert Path(template).read_bytes() == before
    assert not revoked.exists()
    assert not (tmp_path / "new.template").exists()


def test_a_renewed_template_has_another_id_and_key_and_the_old_one_is_refused(
    template: str,
    new_key: str,
    pictures: tuple[str, str],
    bundle: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, old = Template.load(template), Path(template).read_bytes()
    revoked = str(tmp_path / "revoked.txt")
    assert main(["renew", template, "--new-key", new_key, "--revoked", revoked, "--json"]) == 0
    found, after = said(capsys), Template.load(template, key=new_key)
    assert (found["template_id"], found["old_id"]) == (after.template_id, before.template_id)
    assert after.template_id != before.template_id
    assert after.embeddings.tolist() == before.embeddings.tolist()
    options = ["--bundle", bundle, "--revoked", revoked]
    assert main(["verify", template, pictures[0], *options, "--key", new_key]) == 0
    assert main(["verify", template, pictures[0], *options]) == 3, "the key of before"
    Path(template).write_bytes(old)
    assert main(["verify", template, pictures[0], *options]) == 3, "the template of before, put back"
    assert "is revoked" in capsys.readouterr().err


def test_an_interrupted_renewal_lets_nobody_in_and_can_be_run_again(
    template: str,
    new_key: str,
    pictures: tuple[str, str],
    bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, revoked = Path(template).read_bytes(), str(tmp_path / "revoked.txt")
    words = ["renew", template, "--new-key", new_key, "--revoked", revoked]
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == Path(template).name:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        assert main(words) == 130
    assert Path(template).read_bytes() == old
    options = ["--bundle", bundle, "--revoked", revoked]
    assert main(["verify", template, pictures[0], *options]) == 3, "revoked, and not yet renewed"
    assert "is revoked" in capsys.readouterr().err
    assert main(words) == 3, "it may have been revoked for good"
    assert "or to finish a renewal that was interrupted, say --reinstate" in capsys.readouterr().err
    assert main([*words, "--reinstate"]) == 0
    assert main(["verify", template, pictures[0], *options, "--key", new_key]) == 0
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert names == ["new.key", "one.png", "person.template", "revoked.txt", "two.png"]


def test_a_revoked_person_is_not_let_in_again_by_the_way(
    template: str, pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, revoked = Path(template).read_bytes(), str(tmp_path / "revoked.txt")
    assert main(["revoke", template, "--list", revoked]) == 0
    before = Path(revoked).read_bytes()
    words = ["renew", template, "--revoked", revoked]
    capsys.readouterr()
    assert main([*words, "--json"]) == 3
    assert said(capsys)["error"]["type"] == "RevokedTemplateError"
    assert (Path(template).read_bytes(), Path(revoked).read_bytes()) == (old, before)
    assert main([*words, "--reinstate"]) == 0
    assert main(["verify", template, pictures[0], "--bundle", bundle, "--revoked", revoked]) == 0
    assert Path(revoked).read_bytes() == before
    assert main(["renew", template, "--reinstate"]) == 2, "by which list?"


def test_a_renewal_says_what_became_of_the_old_id(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, revoked = Template.load(template).template_id, str(tmp_path / "revoked.txt")
    assert main(["renew", template]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{first} stays valid")
    second = Template.load(template).template_id
    assert main(["renew", template, "--revoked", revoked]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{second} is revoked by {revoked}, a new list"


def test_a_renewal_that_the_disk_refuses_says_what_is_revoked(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, words = Path(template).read_bytes(), ["renew", template, "--revoked", str(tmp_path / "revoked.txt"), "--json"]
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == Path(template).name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert main(words) == 3
    error = said(capsys)["error"]
    assert error["type"] == "StorageError"
    assert f"{Template.load(template).template_id} is revoked already" in error["message"]
    assert error["message"].endswith("run it again with --reinstate")
    assert Path(template).read_bytes() == old
    assert main([*words, "--reinstate"]) == 0


def test_what_cannot_be_renewed_is_not_revoked(template: str, new_key: str, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked.txt"
    for words in (
        [template, "--key", new_key],  # of another key
        [template, "--new-key", str(tmp_path / "none.key")],
        [template, "--new-key", ""],
        [template, "-o", str(tmp_path / "folder/")],
        [str(tmp_path / "none.template")],
    ):
        (tmp_path / "folder").mkdir(exist_ok=True)
        assert main(["renew", *words, "--revoked", str(revoked)]) == 3
    assert not revoked.exists()


def test_a_key_or_the_list_is_not_overwritten(
    template: str, new_key: str, template_key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [Path(path).read_bytes() for path in (template, new_key, template_key)]
    for options in (["--new-key", new_key, "-o", new_key], ["--key", str(template_key), "-o", str(template_key)]):
        assert main(["renew", template, *options]) == 2
        assert "is the key: name another file" in capsys.readouterr().err
    new = str(tmp_path / "new.template")
    assert main(["renew", template, "-o", new, "--revoked", new]) == 2
    assert "is the list of revoked templates" in capsys.readouterr().err
    assert [Path(path).read_bytes() for path in (template, new_key, template_key)] == before
    assert not Path(new).exists()


def test_no_file_of_something_else_is_replaced(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem, revoked = tmp_path / "v3.pem", tmp_path / "revoked.txt"
    pem.write_text("mine")
    assert main(["renew", template, "-o", str(pem), "--revoked", str(revoked)]) == 2
    assert "exists and is no template: not replaced" in capsys.readouterr().err
    assert pem.read_text() == "mine"
    assert not revoked.exists(), "nothing was revoked"


def test_a_plain_template_is_encrypted(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = str(tmp_path / "plain.template")
    assert main(["enroll", pictures[0], "-o", plain, "--bundle", bundle, "--plain"]) == 0
    assert main(["renew", plain]) == 3, "nobody said that it may be plain"
    assert main(["renew", plain, "--plain"]) == 0
    assert Template.header(plain) is not None
    assert main(["verify", plain, pictures[0], "--bundle", bundle]) == 0
    monkeypatch.delenv(template_keys.VARIABLE)
    assert main(["enroll", pictures[0], "-o", plain, "--bundle", bundle, "--plain"]) == 0
    assert main(["renew", plain, "--plain"]) == 2, "by which key?"

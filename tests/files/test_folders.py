"""Where edge-sdk keeps files unasked, and what variables that name the place may hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.errors import EdgeSdkError, InstallationError, StorageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FOLDERS = [
    (files.cache_folder, "EDGE_SDK_CACHE", "XDG_CACHE_HOME", ".cache"),
    (files.config_folder, "EDGE_SDK_CONFIG", "XDG_CONFIG_HOME", ".config"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs knows where")
@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_folders_follow_the_environment(tmp_path: Path, monkeypatch, folder, own: str, xdg: str, default: str) -> None:
    monkeypatch.delenv(own, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(xdg, str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "edge-sdk"
    monkeypatch.delenv(xdg)
    assert folder() == tmp_path / "home" / default / "edge-sdk"
    monkeypatch.setenv(own, "")
    assert folder() == tmp_path / "home" / default / "edge-sdk"
    monkeypatch.setenv(own, "~/own")
    assert folder() == tmp_path / "home" / "own"
    monkeypatch.setenv(own, str(tmp_path / "own"))
    assert folder() == tmp_path / "own"
    assert names(tmp_path) == []


@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_without_a_home_the_variable_is_asked_for(monkeypatch, folder, own: str, xdg: str, default: str) -> None:
    monkeypatch.delenv(own, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: "~/.cache/edge-sdk")
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: "~/.config/edge-sdk")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(StorageError, match=own):
        folder()


@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_a_relative_folder_is_in_the_working_folder(tmp_path, monkeypatch, folder, own, xdg, default) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(own, "here")
    assert folder() == tmp_path / "here"


@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_a_file_or_a_device_is_no_folder(tmp_path: Path, monkeypatch, folder, own, xdg, default) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for value in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "loop", os.devnull, "n" * 10_000):
        monkeypatch.setenv(own, str(value))
        with pytest.raises(StorageError, match=f"set {own}") as caught:
            folder()
        assert isinstance(caught.value, (EdgeSdkError, OSError))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs knows where")
@pytest.mark.parametrize("home", ["", "relative"])
@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_in_a_home_that_is_none_is_no_folder(monkeypatch, home: str, folder, own: str, xdg: str, default: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv(own, raising=False)
    monkeypatch.delenv(xdg, raising=False)
    with pytest.raises(StorageError, match=f"no home folder; set {own}"):
        folder()


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX")
@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_none(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("EDGE_SDK_CACHE", "~/cache")
    with pytest.raises(StorageError, match="no home folder; set EDGE_SDK_CACHE"):
        files.cache_folder()


def test_platformdirs_is_named_where_it_is_needed_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_SDK_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(InstallationError, match="platformdirs is not installed"):
        files.cache_folder()

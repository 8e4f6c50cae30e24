from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from edge_sdk import errors
from edge_sdk.errors import EdgeSdkError, InstallationError, MissingEngineError, MissingToolError
from edge_sdk.extras import needs_extra, needs_requirements

from .paths import ROOT


def test_a_missing_package_is_named_with_the_extra_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingToolError) as caught, needs_extra("export"):
        import torch  # noqa: F401
    assert str(caught.value).startswith('torch is not installed; install edge-sdk with the extra "export"')
    assert (caught.value.package, caught.value.extra) == ("torch", "export")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("declared", "command"),
    [
        (["numpy>=1", "a[b]>=2; extra == 'export'", 'c<3; extra == "export"', "d; extra == 'export-more'"],
         ', or run: pip install "a[b]>=2" "c<3"'),
        (None, ""),
    ],
)  # fmt: skip
def test_packages_are_named_and_never_edge_sdk_that_the_index_has_of_another_project(
    declared: list[str] | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _name: declared)
    remedy = f'is not installed; install edge-sdk with the extra "export"{command}'
    assert str(MissingToolError("torch", "export")) == f"torch {remedy}"
    assert str(MissingEngineError("some", "export")) == f'engine "some" {remedy}'


def test_without_metadata_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.requires", requires)
    said = str(MissingEngineError("some", "one", "other", elsewhere="or so"))
    assert said == (
        'engine "some" is not installed; install edge-sdk with the extra "one"; '
        'or install edge-sdk with the extra "other" (or so)'
    )


@pytest.mark.parametrize("line", ["import old.nn", "from old import nn"])
def test_a_package_that_is_too_old_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setitem(sys.modules, "old", types.ModuleType("old"))
    said = '^old cannot be used: .*; install edge-sdk with the extra "export"'
    with pytest.raises(MissingToolError, match=said), needs_extra("export"):
        exec(line)


@pytest.mark.parametrize(
    "line", ["import edge_sdk.nothing", "from edge_sdk.errors import nothing", "raise ImportError('loaded by a link')"]
)
def test_an_import_error_of_our_own_is_no_missing_package(line: str) -> None:
    with pytest.raises(ImportError) as caught, needs_extra("export"):
        exec(line)
    assert not isinstance(caught.value, errors.EdgeSdkError)


def test_errors_that_say_what_is_missing_stay_as_they_are() -> None:
    for error in (MissingEngineError("onnxruntime", "onnx"), MissingToolError("litert_torch", "tflite-export")):
        with pytest.raises(type(error)) as caught, needs_extra("export"):
            raise error
        assert caught.value is error


def test_what_every_edge_sdk_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torn.py").write_text("import torn_part")
    (tmp_path / "paged.py").write_text(
        "try: import paged.part\n"
        "except ImportError:\n"
        "    raise ImportError('a page\\nof advice') from ImportError('no libx.so', name='paged')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, message in (
        ("no_such", 'no_such is not installed; run: pip install "no_such"'),
        ("torn", 'torn_part is not installed; run: pip install "torn_part"'),
        ("paged", 'paged cannot be loaded (no libx.so); run: pip install --force-reinstall "paged"'),
    ):
        with pytest.raises(InstallationError) as caught, needs_requirements():
            importlib.import_module(name)
        assert str(caught.value) == message


def test_errors_of_edge_sdk_itself_stay() -> None:
    for name in ("edge_sdk.no_such", "edge_sdk.runtime.no_such"):
        with pytest.raises(ModuleNotFoundError) as caught, needs_requirements():
            importlib.import_module(name)
        assert not isinstance(caught.value, EdgeSdkError)
    with pytest.raises(MissingToolError), needs_requirements(), needs_extra("export"):
        importlib.import_module("no_such")


@pytest.mark.parametrize("package", ["numpy", "msgspec"])
def test_the_package_and_the_command_line_name_what_is_missing(package: str) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None\nimport edge_sdk, edge_sdk.cli\n"
        "try: edge_sdk.Template\nexcept edge_sdk.errors.InstallationError as exc: print(exc.name)\n"
        "sys.exit(edge_sdk.cli.main(['verify', 'a.png', 'b.png']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (3, f"{package}\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-sdk: InstallationError: ")
    assert "run: pip install" in line

"""What is declared, what is imported and what is locked are the same."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions

import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# By name: TensorRT is imported under whichever of its two names there is.
NEVER_IMPORTED = {"tensorrt-rtx-cu12"}
ENGINES = ["onnx", "openvino", "tflite", "tensorrt"]
LOCKS = {
    "runtime.lock": ["onnx"],
    "export.lock": ["onnx", "export"],
    "dev.lock": [*ENGINES, "keyring", "export", "tflite-export", "dev", "docs"],
}
TYPES_ONLY = {"typing-extensions"}  # comes with mypy


def declared(*extras: str) -> dict[str, Requirement]:
    lines = PROJECT["dependencies"] + [line for name in extras for line in PROJECT["optional-dependencies"][name]]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def locked(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def imported() -> set[str]:
    modules = set()
    for path in (ROOT / "edge_sdk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    distributions = packages_distributions()
    return {
        canonicalize_name(distributions.get(module, [module])[0])
        for module in modules - set(sys.stdlib_module_names) - {"edge_sdk"}
    }


def test_declared_is_imported() -> None:
    assert (
        imported() - TYPES_ONLY
        == set(declared(*ENGINES, "tflite-runtime", "keyring", "export", "tflite-export")) - NEVER_IMPORTED
    )


def test_the_lock_files_satisfy_the_declarations() -> None:
    for name, extras in LOCKS.items():
        versions = locked(name)
        unmet = [str(r) for n, r in declared(*extras).items() if n not in versions or versions[n] not in r.specifier]
        assert not unmet, f"{name}: {unmet}"


def test_the_lock_files_agree_and_the_device_gets_no_torch() -> None:
    runtime, workstation, everything = map(locked, LOCKS)
    assert runtime.items() <= workstation.items() <= everything.items()
    assert not {"torch", "onnx", "onnxscript"} & set(runtime)

"""Who may import whom, what a device loads, and which names are public."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import edge_sdk
from edge_sdk.errors import EdgeSdkError

from ..paths import ROOT

PACKAGE = ROOT / "edge_sdk"
LAYERS = ("contract", "runtime", "calibration", "export", "cli")  # each may import itself and those before it
WORKSTATION = {"torch", "onnx", "onnxscript", "lightning_fabric", "matplotlib", "rich", "safetensors", "sklearn"}
WORKSTATION |= {"litert_torch", "ai_edge_quantizer"}
ENGINE_PACKAGES = {"onnxruntime", "tensorrt", "openvino", "ai_edge_litert", "tflite_runtime", "tensorrt_rtx"}
NUMPY_ALONE = (
    "calibration/metrics/verification.py",
    "calibration/metrics/presentation_attack.py",
    "calibration/thresholds.py",
)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each file of the package by its path in it, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def layer(path: str) -> str:
    """Return the layer of a path inside the package; files at the top are the contract."""
    first = path.split("/", maxsplit=1)[0]
    return first if first in LAYERS and "/" in path else "contract"


def imported(tree: ast.AST, at_start: bool = False) -> Iterator[str]:
    """Yield dotted names of everything imported, also inside functions unless ``at_start``; relative ones fail."""
    for node in executed(tree) if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module)
            if node.module and node.module.split(".")[0] == "edge_sdk":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what importing a module executes: no function bodies, nothing under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from executed(node)


def layer_of_module(name: str) -> str | None:
    """Return the layer of ``edge_sdk.a.b``; None for other packages and for ``edge_sdk`` itself."""
    parts = name.split(".")
    if parts[0] != "edge_sdk" or len(parts) == 1:
        return None
    return parts[1] if parts[1] in LAYERS else "contract"


@pytest.mark.parametrize("path", [path for path, _ in modules()])
def test_imports_point_one_way(path: str) -> None:
    if path in ("__init__.py", "__main__.py"):  # lazy public names, and the door to the command line
        return
    allowed = LAYERS[: LAYERS.index(layer(path)) + 1]
    for name in imported(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        assert layer_of_module(name) in (None, *allowed), f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path, _ in modules() if layer(path) in ("contract", "runtime")])
def test_the_device_names_nothing_of_the_workstation(path: str) -> None:
    names = {name.split(".")[0] for name in imported(ast.parse((PACKAGE / path).read_text(encoding="utf-8")))}
    assert not names & WORKSTATION
    assert not names & ENGINE_PACKAGES or path.startswith("runtime/engines/")


@pytest.mark.parametrize("path", [path for path, _ in modules() if layer(path) == "cli"])
def test_the_command_line_starts_light(path: str) -> None:
    names = set(imported(ast.parse((PACKAGE / path).read_text(encoding="utf-8")), at_start=True))
    assert not {name.split(".")[0] for name in names} & (WORKSTATION | ENGINE_PACKAGES | {"cv2", "numpy"})
    assert {layer_of_module(name) for name in names} <= {None, "contract", "cli"}


@pytest.mark.parametrize("path", [path for path, _ in modules()])
def test_nothing_writes_numpy_arrays_by_safetensors(path: str) -> None:
    """0.8.0 puts values of transposed arrays in the wrong places (findings/safetensors_numpy_transposed.sh)."""
    assert "safetensors.numpy" not in set(imported(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))))


def loaded(statement: str) -> set[str]:
    """Return the names in ``sys.modules`` of a fresh process after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_runtime_loads_no_engine_and_no_workstation() -> None:
    names = loaded("import edge_sdk.runtime; [getattr(edge_sdk.runtime, name) for name in edge_sdk.runtime.__all__]")
    assert {"edge_sdk.runtime.verifier", "numpy", "cv2"} <= names  # it did load something
    assert not {name.split(".")[0] for name in names} & (WORKSTATION | ENGINE_PACKAGES)
    found = {name for name in names if name.startswith("edge_sdk.runtime.engines.")}
    assert found == {"edge_sdk.runtime.engines.ownership", "edge_sdk.runtime.engines.protocol"}


def test_importing_the_package_loads_nothing() -> None:
    names = loaded("import edge_sdk")
    assert {name for name in names if name.startswith("edge_sdk")} == {"edge_sdk", "edge_sdk._version"}
    assert not names & {"numpy", "cv2", "msgspec"}


@pytest.mark.parametrize("path", NUMPY_ALONE)
def test_thresholds_can_be_fitted_with_numpy_alone(path: str) -> None:
    names = loaded(f"import edge_sdk.{path.removesuffix('.py').replace('/', '.')}")
    assert not {name.split(".")[0] for name in names} & (WORKSTATION | ENGINE_PACKAGES)


def test_the_public_surface() -> None:
    public = [
        "AuditLog", "Bundle", "Candidate", "EdgeSdkError", "IdentifyResult", "LocateResult", "LocatedFace", "Locator",
        "RevocationList", "SessionStatus", "Shots", "SpoofDecision", "SpoofDetector", "SpoofResult", "StreamResult",
        "Template", "TemplateGallery", "TemplateKey", "Timings", "Trust", "Verifier", "VerifyResult", "__version__",
        "errors",
    ]  # fmt: skip
    assert sorted(edge_sdk.__all__) == dir(edge_sdk) == public
    for name in public:
        assert getattr(edge_sdk, name) is not None
    with pytest.raises(AttributeError, match="nonesuch"):
        edge_sdk.nonesuch  # noqa: B018 - the access is the test
    assert not hasattr(edge_sdk, "__path_that_is_not_there__")


def test_the_error_tree_is_the_one_in_its_docstring() -> None:
    """Names, nesting and built-ins drawn in :mod:`edge_sdk.errors` are those of the classes."""
    from edge_sdk import errors

    drawn: dict[str, tuple[str, str | None]] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if not words or not words[0].endswith("Error") or not line.startswith("    "):
            continue
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
        builtin = words[1].strip("()") if len(words) > 1 and words[1].startswith("(") else None
        parents[depth:] = [words[0]]
        drawn[words[0]] = (parents[depth - 1] if depth else "Exception", builtin)
    found = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    classes = {name: value for name, value in found.items() if value.__module__ == errors.__name__}
    assert set(drawn) == set(classes)
    for name, (parent, builtin) in drawn.items():
        bases = [base.__name__ for base in classes[name].__bases__]
        assert bases == [parent, *([builtin] if builtin else [])], name
        assert issubclass(classes[name], EdgeSdkError)

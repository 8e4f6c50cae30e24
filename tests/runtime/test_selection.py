"""Which engine runs which variant, and what is said where none does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import get_args

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, MissingEngineError, UsageError
from edge_sdk.manifest import Variant
from edge_sdk.runtime import Verifier, device, selection, tuning_store
from edge_sdk.runtime.device import ProcessorKind
from edge_sdk.runtime.engines import ENGINES, _Row, version
from edge_sdk.runtime.selection import PREFERENCE, candidates, choose
from edge_sdk.runtime.tuning_store import Tuned

from .. import fake_engine

Maker = Callable[..., Bundle]
FAKE = fake_engine.ROW.module
# "gpu" before "small" before "old": numpy is always installed.
REAL = dict(ENGINES)
ROWS = {
    "gpu": _Row(FAKE, ("int8-sym.onnx", "fp32.onnx"), ("numpy",), "gpu-extra", devices=("no-such-gpu[0-9]",)),
    "absent": _Row(FAKE, ("int8.onnx", "fp32.onnx"), ("no_such_package",), "absent-extra"),
    "small": _Row(FAKE, ("int8.tflite", "fp32.tflite"), ("no_such_package", "numpy"), "small-extra"),
    "old": _Row(FAKE, ("fp32.onnx", "int8.onnx"), ("numpy",), "old-extra"),
}


MODEL = "ab" * 32
KINDS = ("x86-64-vnni", "x86-64", "aarch64", "other")


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(ENGINES):
        monkeypatch.delitem(ENGINES, name)
    for name, row in ROWS.items():
        monkeypatch.setitem(ENGINES, name, row)


@pytest.fixture
def of(tiny_bundle: Bundle) -> Callable[..., Bundle]:
    """A bundle that lists the variants of these ids; only what it lists is looked at."""

    def make(*ids: str) -> Bundle:
        (graph,), template = tiny_bundle.manifest.graphs, tiny_bundle.manifest.variants[0]
        variants: list[Variant] = []
        for key in ids:
            precision, form = key.split(".")
            variants.append(msgspec.structs.replace(template, precision=precision, format=form))
        file = next(iter(graph.files.values()))
        files = {key: msgspec.structs.replace(file, path=f"model.{key}", sha256=MODEL) for key in ids}
        graphs = (msgspec.structs.replace(graph, files=files),)
        manifest = msgspec.structs.replace(tiny_bundle.manifest, graphs=graphs, variants=tuple(variants))
        return Bundle(tiny_bundle.path, manifest, "made-up", tiny_bundle._store)

    return make


def pair(bundle: Bundle, *arguments: object) -> tuple[str, str]:
    choice = choose(bundle, *arguments)  # type: ignore[arg-type]
    return choice.engine, choice.variant.id


def test_auto_prefers_int8_then_the_order_of_the_table(of: Callable[..., Bundle]) -> None:
    everything = ("fp32.onnx", "int8.onnx", "int8-sym.onnx", "fp32.tflite", "int8.tflite")
    for ids in itertools.permutations(everything, 5):  # however the manifest lists them
        assert pair(of(*ids)) == ("small", "int8.tflite")
    assert pair(of("fp32.onnx", "int8.onnx", "fp32.tflite")) == ("old", "int8.onnx")  # int8 before the better engine
    assert pair(of("fp32.onnx", "fp32.tflite")) == ("small", "fp32.tflite")


def test_auto_prefers_float_where_exact_int8_is_slow(
    of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """x86 without VNNI; what the table does not list keeps the order of the engines."""
    everything = ("fp32.onnx", "int8.onnx", "int8-sym.onnx", "fp32.tflite", "int8.tflite")
    for kind in KINDS:
        monkeypatch.setattr(selection, "processor_kind", lambda kind=kind: kind)
        slow = kind == "x86-64"
        assert pair(of(*everything)) == ("small", "fp32.tflite" if slow else "int8.tflite")
        assert pair(of("fp32.onnx", "int8.tflite")) == (("old", "fp32.onnx") if slow else ("small", "int8.tflite"))
        assert pair(of(*everything), "old") == ("old", "fp32.onnx" if slow else "int8.onnx")
        assert pair(of(*everything), "auto", "int8") == ("small", "int8.tflite")  # asked for is asked for
        assert pair(of("int8.onnx")) == ("old", "int8.onnx")  # there is nothing else


@pytest.mark.parametrize(
    ("kind", "installed", "expected"),
    [
        ("x86-64-vnni", "openvino onnxruntime litert", ("openvino", "int8.onnx")),
        ("x86-64-vnni", "onnxruntime litert", ("onnxruntime", "int8.onnx")),
        ("x86-64-vnni", "litert", ("litert", "int8.tflite")),
        ("x86-64-vnni", "onnxruntime", ("onnxruntime", "int8.onnx")),
        ("x86-64", "openvino onnxruntime litert", ("onnxruntime", "fp32.onnx")),
        ("x86-64", "openvino litert", ("openvino", "fp32.onnx")),
        ("x86-64", "litert tflite-runtime", ("litert", "fp32.tflite")),
        ("x86-64", "tflite-runtime", ("tflite-runtime", "fp32.tflite")),
        ("aarch64", "onnxruntime litert", ("onnxruntime", "int8.onnx")),
        ("aarch64", "litert tflite-runtime", ("litert", "int8.tflite")),
        ("other", "onnxruntime", ("onnxruntime", "int8.onnx")),
        *((kind, "tensorrt openvino onnxruntime litert", ("tensorrt", "int8-sym.onnx")) for kind in KINDS),
    ],
)
def test_the_order_on_every_kind_of_processor(
    of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch, kind: str, installed: str, expected: tuple[str, str]
) -> None:
    """The real engines, as if these were installed, and with tensorrt a GPU."""
    for name in ROWS:
        monkeypatch.delitem(ENGINES, name)
    for name, row in REAL.items():
        packages = ("numpy",) if name in installed.split() else ("no_such_package",)
        monkeypatch.setitem(ENGINES, name, msgspec.structs.replace(row, packages=packages, oldest=0, devices=()))
    monkeypatch.setattr(selection, "processor_kind", lambda: kind)
    monkeypatch.setattr(device, "int8_saturates", lambda: kind == "x86-64")
    bundle = of("fp32.onnx", "int8.onnx", "int8-sym.onnx", "fp32.tflite", "int8.tflite", "int8-io.tflite")
    assert pair(bundle) == expected
    assert all(choice.variant.precision.startswith("int8") for choice in candidates(bundle, precision="int8"))


def test_what_a_manifest_says_is_fastest_goes_before_the_table(
    of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = of("fp32.onnx", "int8.onnx", "fp32.tflite", "int8.tflite")
    order = (("unheard-of", "int8.tflite"), ("absent", "int8.onnx"), ("old", "fp32.onnx"), ("small", "fp32.tflite"))
    manifest = msgspec.structs.replace(bundle.manifest, fastest={"x86-64-vnni": order})
    measured = Bundle(bundle.path, manifest, "made-up", bundle._store)
    monkeypatch.setattr(selection, "processor_kind", lambda: "x86-64-vnni")
    listed = [(choice.engine, choice.variant.id) for choice in candidates(measured)]
    assert listed[:2] == [("old", "fp32.onnx"), ("small", "fp32.tflite")]  # of those that can be run here
    assert set(listed) == {(choice.engine, choice.variant.id) for choice in candidates(bundle)}
    assert pair(measured, "auto", "int8") == pair(bundle, "auto", "int8")
    for kind in KINDS[1:]:
        monkeypatch.setattr(selection, "processor_kind", lambda kind=kind: kind)
        assert candidates(measured) == candidates(bundle), kind


def test_the_table_lists_what_the_engines_run() -> None:
    assert set(PREFERENCE) == set(KINDS) == set(get_args(ProcessorKind))
    for pairs in PREFERENCE.values():
        assert len(set(pairs)) == len(pairs)
        assert all(variant in REAL[engine].variants for engine, variant in pairs)
    assert ("openvino", "int8.onnx") not in PREFERENCE["x86-64"], "it is refused there"


def test_a_device_that_is_there_counts(of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = of("fp32.onnx", "int8.tflite", "int8-sym.onnx")
    assert pair(bundle) == ("small", "int8.tflite")
    monkeypatch.setitem(
        ENGINES, "gpu", _Row(FAKE, ROWS["gpu"].variants, ("numpy",), "gpu-extra", devices=("dev/null",))
    )
    assert pair(bundle) == ("gpu", "int8-sym.onnx")


@pytest.mark.parametrize(
    ("engine", "precision", "expected"),
    [
        ("auto", "int8", ("small", "int8.tflite")),
        ("auto", "int8.onnx", ("old", "int8.onnx")),  # an id is exact
        ("auto", "fp32", ("small", "fp32.tflite")),
        ("gpu", None, ("gpu", "int8-sym.onnx")),  # named: whether it can be loaded shows when it is
        ("gpu", "int8", ("gpu", "int8-sym.onnx")),
        ("gpu", "int8-sym", ("gpu", "int8-sym.onnx")),
        ("gpu", "fp32", ("gpu", "fp32.onnx")),
        ("absent", None, ("absent", "int8.onnx")),
    ],
)
def test_what_is_asked_for(
    of: Callable[..., Bundle], engine: str, precision: str | None, expected: tuple[str, str]
) -> None:
    bundle = of("fp32.onnx", "int8.onnx", "int8-sym.onnx", "fp32.tflite", "int8.tflite")
    assert pair(bundle, engine, precision) == expected


def test_no_such_artifact(of: Callable[..., Bundle]) -> None:
    for engine, precision in (("auto", "int8"), ("old", "int8.onnx"), ("small", None), ("auto", "nonesuch")):
        with pytest.raises(BundleError, match=r"it has fp32\.onnx"):
            choose(of("fp32.onnx"), engine, precision)
    with pytest.raises(BundleError, match="any engine"):
        choose(of("int8-io.onnx"))
    with pytest.raises(UsageError, match="nonesuch"):
        choose(of("fp32.onnx"), "nonesuch")
    with pytest.raises(UsageError, match="all"):
        candidates(of("fp32.onnx"), "auto")


def test_no_installed_engine_names_every_extra_that_would_help(
    of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "old", _Row(FAKE, ROWS["old"].variants, ("no_such_package",), "old-extra"))
    with pytest.raises(MissingEngineError) as caught:
        choose(of("fp32.onnx", "int8.onnx"))
    said = str(caught.value)
    assert 'the extra "absent-extra"; or install edge-sdk with the extra "old-extra"' in said
    assert "gpu" not in said  # its device is not there, so its package would not help
    assert "small" not in said  # it runs none of these
    with pytest.raises(EngineError, match="device") as other:
        choose(of("int8-sym.onnx"))
    assert not isinstance(other.value, MissingEngineError)


def test_inexact_int8_is_nobodys_default(of: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    row = _Row(FAKE, ("int8.onnx", "fp32.onnx"), ("numpy",), "quick-extra", saturating=("int8.onnx",))
    monkeypatch.setattr("edge_sdk.runtime.selection.ENGINES", {"quick": row, **ENGINES})
    monkeypatch.setattr("edge_sdk.runtime.engines.ENGINES", {"quick": row, **ENGINES})
    both = of("fp32.onnx", "int8.onnx")
    for saturates, expected in ((False, ("quick", "int8.onnx")), (True, ("old", "int8.onnx"))):
        monkeypatch.setattr("edge_sdk.runtime.device.int8_saturates", lambda answer=saturates: answer)
        assert pair(both) == expected
    assert pair(both, "auto", "fp32") == ("quick", "fp32.onnx")
    assert pair(both, "quick") == ("quick", "int8.onnx")  # by its name: it will refuse, and say why
    monkeypatch.setattr("edge_sdk.runtime.engines.ENGINES", {"quick": row})
    monkeypatch.setattr("edge_sdk.runtime.selection.ENGINES", {"quick": row})
    with pytest.raises(EngineError, match="exact int8"):
        choose(of("int8.onnx"))


def test_all_is_every_usable_engine(of: Callable[..., Bundle]) -> None:
    found = candidates(of("fp32.onnx", "int8.onnx", "fp32.tflite", "int8-sym.onnx"))
    assert [(c.engine, c.variant.id) for c in found] == [
        ("old", "int8.onnx"),
        ("small", "fp32.tflite"),
        ("old", "fp32.onnx"),
    ]


def test_a_choice_that_fails_to_load_is_an_error(make_bundle: Maker) -> None:
    with pytest.raises(EngineError, match="not a fake model"):  # an ONNX file, to the "old" engine
        Verifier(make_bundle())


def test_the_verifier_says_what_was_chosen(make_bundle: Maker, signature: np.ndarray) -> None:
    model = msgspec.json.encode(fake_engine.FakeModel(shape=(1, 150, 180)))
    with Verifier(make_bundle(models={"fp32": model})) as verifier:
        assert (verifier.engine, verifier.variant.id) == ("old", "fp32.onnx")
        assert verifier.embed(signature).shape == (1, 16)


# --- what was tuned ---


def tuned(engine: str, variant: str, median_ms: float) -> Tuned:
    return Tuned(
        bundle_id="tiny-1.0-made-up",
        threads=1,
        engine=engine,
        engine_version=version(engine),
        variant=variant,
        model=MODEL,
        conditions=device.conditions(),
        median_ms=median_ms,
    )


def test_auto_takes_the_fastest_that_was_tuned(of: Callable[..., Bundle]) -> None:
    bundle = of("fp32.onnx", "int8.onnx", "fp32.tflite", "int8.tflite")
    tuning_store.store(
        [tuned("old", "fp32.onnx", 1.0), tuned("old", "int8.onnx", 3.0), tuned("small", "int8.tflite", 2.0)]
    )
    assert pair(bundle) == ("old", "fp32.onnx")
    assert pair(bundle, "auto", "int8") == ("small", "int8.tflite")
    assert pair(bundle, "auto", "int8.onnx") == ("old", "int8.onnx")
    assert pair(bundle, "auto", "fp32.tflite") == ("small", "fp32.tflite")  # never measured: the fixed order
    assert pair(bundle, "small") == ("small", "int8.tflite")  # a name is a name
    assert pair(bundle, "auto", None, 2) == ("small", "int8.tflite")  # other threads, other numbers: the fixed order


@pytest.mark.parametrize(
    "change",
    [
        {"bundle_id": "other"},
        {"threads": 2},
        {"engine_version": "0.0"},
        {"conditions": "other"},
        {"engine": "absent"},
        {"model": "cd" * 32},
    ],
)
def test_what_has_changed_since_is_not_used(of: Callable[..., Bundle], change: dict[str, object]) -> None:
    tuning_store.store([msgspec.structs.replace(tuned("old", "fp32.onnx", 1.0), **change)])
    assert pair(of("fp32.onnx", "int8.tflite")) == ("small", "int8.tflite")

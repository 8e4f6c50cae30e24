"""Which engine runs which variant: a fixed order of preference, or what ``edge-sdk tune`` measured on this device.

The fixed order is the bundle's own where it was measured on this kind of processor (``fastest`` in the manifest), and
then :data:`PREFERENCE`.

The order depends on the kind of processor: without VNNI an x86 computes exact int8 more slowly than float, elsewhere
int8 is the faster. So a machine of another kind may choose another variant; a template belongs to the variant that
made it, so name a precision where templates move between kinds.

Nothing is timed here and nothing is tried: a choice that fails to load is an error, never a reason for another choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.logs import Log
from edge_sdk.manifest import Variant
from edge_sdk.runtime import tuning_store
from edge_sdk.runtime.device import ProcessorKind, processor_kind
from edge_sdk.runtime.engines import ENGINES, has_device, installed, missing, usable, variants, version

AUTO, ALL = "auto", "all"

_LOG = Log(__name__)

_GPU = (("tensorrt", "int8-sym.onnx"), ("tensorrt", "fp32.onnx"))

# Measured with one thread on the shipped bundles, latency of one pass; benchmarks/engine_order.py prints such entries.
# x86-64-vnni: AMD EPYC with AVX512-VNNI, 2026-11-28, ONNX Runtime 1.31.1, OpenVINO 2026.4.1, LiteRT 2.3.0, all shipped
# bundles, relative to fp32.onnx on ONNX Runtime: 0.45, 0.52, 0.56; 1, 1.04, 1.12. No order is right for all of them:
# in int8 LiteRT takes 0.4 to 8 times as long as OpenVINO. So a manifest may hold its own, ``fastest``; theirs do.
# x86-64: AMD EPYC of the first generation (AVX2), 2026-11-27, same versions, deepsign: 5.6, 6.1, 6.5, 8.8, 9.2 ms; its
# int8.onnx was not rewritten then (edge_sdk/calibration/quantization/onnx_channels.py), and was not measured since.
# aarch64 and others: not measured; int8 before float, as Arm's dot products and the makers of the engines suggest.
# A GPU, where there is one and TensorRT is installed, comes before the processor.
PREFERENCE: dict[ProcessorKind, tuple[tuple[str, str], ...]] = {
    "x86-64-vnni": (
        *_GPU,
        ("openvino", "int8.onnx"),
        ("onnxruntime", "int8.onnx"),
        ("litert", "int8.tflite"),
        ("onnxruntime", "fp32.onnx"),
        ("openvino", "fp32.onnx"),
        ("litert", "fp32.tflite"),
    ),
    "x86-64": (
        *_GPU,
        ("onnxruntime", "fp32.onnx"),
        ("openvino", "fp32.onnx"),
        ("onnxruntime", "int8.onnx"),
        ("litert", "fp32.tflite"),
        ("litert", "int8.tflite"),
    ),
    "aarch64": _GPU,
    "other": _GPU,
}
"""(engine, variant), the fastest first, behind what a manifest says itself. What is not listed comes after it: int8
before float, on ``x86-64`` float before int8, and then in the order of :data:`edge_sdk.runtime.engines.ENGINES` and of
the engine's variants."""


class Choice(msgspec.Struct, frozen=True):
    """An engine, and the variant of a bundle that it runs."""

    engine: str
    variant: Variant


def choose(bundle: Bundle, engine: str = AUTO, precision: str | None = None, threads: int = 1) -> Choice:
    """Choose one engine and one variant.

    Args:
        bundle: Whose variants to choose from.
        engine: Name of an engine, installed or not, or ``"auto"``: what was tuned for this bundle and these threads if
            all that it was measured with is still the same, else the first in the order of preference.
        precision: ``"int8"`` for any int8 variant, another precision or a variant's id (``"int8.onnx"``) for exactly
            that; None leaves it to the order of preference (:data:`PREFERENCE`).
        threads: Threads that the engine will be given.

    Raises:
        UsageError: No such engine.
        BundleError: The bundle has no such variant, or none that the engine runs.
        MissingEngineError: No installed engine runs it.
        EngineError: Only engines run it that this machine is not made for (no GPU, inexact int8).
    """
    if engine != AUTO:
        return candidates(bundle, engine, precision)[0]
    able = candidates(bundle, ALL, precision)
    _LOG.debug("%s: usable here, by preference: %s", bundle.id, _listed(able))
    if tuned := _tuned(bundle, able, precision, threads):
        _LOG.info("%s: %s is the fastest, as tuned on this device", bundle.id, _listed([tuned]))
        return tuned
    _LOG.info("%s: %s is the first by preference; not tuned here (edge-sdk tune)", bundle.id, _listed(able[:1]))
    return able[0]


def candidates(bundle: Bundle, engine: str = ALL, precision: str | None = None) -> tuple[Choice, ...]:
    """Return every choice there is, the preferred first, at least one; ``"all"`` is every engine that is usable here.

    Arguments and errors are those of :func:`choose`.
    """
    if engine == AUTO:
        raise UsageError('"auto" is one engine; "all" names every one that is usable here')
    known = _choices(bundle, list(ENGINES) if engine == ALL else [engine])
    fitting = [choice for choice in known if precision is None or fits(choice.variant, precision)]
    if not fitting:
        ids = [variant.id for variant in bundle.manifest.variants]
        if precision in ids:
            raise BundleError(f"{engine} does not run {precision}; it runs {', '.join(variants(engine))}")
        wanted = f"{precision} variant" if precision else "variant"
        runner = "any engine" if engine == ALL else f"{engine} (it runs {', '.join(variants(engine))})"
        raise BundleError(f"{bundle.id} has no {wanted} for {runner}; it has {', '.join(ids)}")
    found = fitting if engine != ALL else [choice for choice in fitting if usable(choice.engine, choice.variant.id)]
    if not found:
        names = dict.fromkeys(choice.engine for choice in fitting)
        absent = [name for name in names if has_device(name) and not installed(name)]
        if not absent:
            raise EngineError(
                f"{bundle.id}: this machine lacks the device (a GPU), or exact int8 kernels, for {', '.join(names)}"
            )
        raise missing(*absent)
    return _preferred_first(bundle, found)


def _preferred_first(bundle: Bundle, choices: list[Choice]) -> tuple[Choice, ...]:
    kind = processor_kind()
    order = dict.fromkeys((*_GPU, *bundle.manifest.fastest.get(kind, ()), *PREFERENCE[kind]))
    known = {pair: position for position, pair in enumerate(order)}

    def rank(choice: Choice) -> tuple[int, bool]:
        is_int8 = choice.variant.precision.startswith("int8")
        return known.get((choice.engine, choice.variant.id), len(known)), is_int8 == (kind == "x86-64")

    return tuple(sorted(choices, key=rank))  # stable: what ranks alike keeps its order


def _tuned(bundle: Bundle, able: tuple[Choice, ...], precision: str | None, threads: int) -> Choice | None:
    """Return the fastest choice of the precision as it was tuned, unless anything has changed since."""
    wanted = {a.id for a in bundle.manifest.variants if precision is None or fits(a, precision)}
    tuned = next((row for row in tuning_store.recall(bundle.id, threads) if row.variant in wanted), None)
    if tuned is None:
        return None
    found = next((c for c in able if (c.engine, c.variant.id) == (tuned.engine, tuned.variant)), None)
    model = bundle.manifest.variant_sha256(tuned.variant)
    if found and (version(found.engine), model) == (tuned.engine_version, tuned.model):
        return found
    _LOG.warning("%s: the engine or the model has changed since it was tuned; run: edge-sdk tune", bundle.id)
    return None


def _listed(choices: Sequence[Choice]) -> str:
    return ", ".join(f"{choice.variant.id} on {choice.engine}" for choice in choices)


def _choices(bundle: Bundle, engines: list[str]) -> list[Choice]:
    there = {variant.id: variant for variant in bundle.manifest.variants}
    return [Choice(name, there[key]) for name in engines for key in variants(name) if key in there]


def fits(variant: Variant, precision: str) -> bool:
    """Whether a variant is meant by a precision: its own, its id, or ``"int8"`` for any of int8."""
    return precision in (variant.id, variant.precision) or (
        precision == "int8" and variant.precision.startswith("int8")
    )

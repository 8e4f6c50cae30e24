"""Commands that run on the device: verify, enroll, inspect, selftest."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from edge_sdk.cli import ACCEPTED, REJECTED
from edge_sdk.errors import EdgeSdkError, TemplateError

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.manifest import Manifest, OperatingPoint, Variant
    from edge_sdk.runtime import Verifier

DEFAULT_BUNDLE = "deepsign"

Subparsers = Any  # argparse keeps the class private


def add_parsers(subparsers: Subparsers) -> None:
    """Add the device's commands."""
    verify = subparsers.add_parser(
        "verify",
        help="compare a picture with references of one person",
        description="Decide whether the last picture is by the person of those before it, or of a template.",
    )
    verify.add_argument("reference", nargs="+", help="pictures of one person, or one template written by enroll")
    verify.add_argument("query", help="the picture in question")
    verify.add_argument(
        "--operating-point", metavar="NAME", help="default: the least FMR that accepts most genuine pairs"
    )
    _add_engine_options(verify)
    verify.set_defaults(handler=_verify)

    enroll = subparsers.add_parser("enroll", help="write a template of one person's references")
    enroll.add_argument("images", nargs="+", metavar="IMAGE")
    enroll.add_argument("-o", "--output", required=True, metavar="FILE")
    _add_engine_options(enroll)
    enroll.set_defaults(handler=_enroll)

    inspect = subparsers.add_parser("inspect", help="show what a bundle is, was trained on and measured at")
    inspect.add_argument("bundle", nargs="?", default=DEFAULT_BUNDLE, metavar="BUNDLE")
    _add_json(inspect)
    inspect.set_defaults(handler=_inspect)

    selftest = subparsers.add_parser("selftest", help="replay a bundle's golden inputs on this device")
    selftest.add_argument("bundle", nargs="?", default=DEFAULT_BUNDLE, metavar="BUNDLE")
    selftest.add_argument("--engine", default="auto", metavar="NAME", help="or all: every engine that is installed")
    selftest.add_argument("--threads", type=int, default=1, metavar="N")
    _add_json(selftest)
    selftest.set_defaults(handler=_selftest)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="shipped name, folder or .edge file (%(default)s)")
    parser.add_argument("--precision", metavar="NAME", help="int8, fp32 or an artifact's id; default: int8 if there")
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (%(default)s)")
    _add_json(parser)


def _open(arguments: argparse.Namespace, operating_point: str | None = None) -> Verifier:
    from edge_sdk.runtime import Verifier

    return Verifier(
        arguments.bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        operating_point=operating_point,
        threads=arguments.threads,
    )


def _print(values: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(values, allow_nan=False) if as_json else text)


def _verify(arguments: argparse.Namespace) -> int:
    from edge_sdk.runtime import Template

    (first, *others), query = arguments.reference, arguments.query
    if others and (template := next(filter(Template.is_at, arguments.reference), None)):
        raise TemplateError(f"{template} is a template: it stands for all references and takes none beside it")
    reference = Template.load(first) if not others and Template.is_at(first) else [first, *others]
    with _open(arguments, arguments.operating_point) as verifier:
        result = verifier.verify(reference, query)
    decision = "ACCEPTED" if result else "REJECTED"
    lines = [
        f"{decision}   score {result.score:.4f}, accepted from {result.threshold:.4f} ({result.operating_point})",
        *([f"quality: {', '.join(result.quality)}"] if result.quality else []),
        f"{result.bundle_id}, {verifier.variant.id} on {verifier.engine}, {result.timings.total_ms:.1f} ms",
    ]
    _print(result.as_dict(), arguments.json, "\n".join(lines))
    return ACCEPTED if result else REJECTED


def _enroll(arguments: argparse.Namespace) -> int:
    with _open(arguments) as verifier:
        template = verifier.enroll(arguments.images)
    template.save(arguments.output)
    values = {
        "template": arguments.output,
        "count": template.count,
        "bundle_name": template.bundle_name,
        "variant_id": template.variant_id,
        "embedding_space_id": template.embedding_space_id,
    }
    _print(values, arguments.json, f"{arguments.output}: {template.count} references, {template.variant_id}")
    return ACCEPTED


def _inspect(arguments: argparse.Namespace) -> int:
    import msgspec

    from edge_sdk.bundle import Bundle

    bundle = Bundle.open(arguments.bundle)
    manifest = bundle.manifest
    for entry in manifest.files:
        bundle.read(entry)  # a damaged file is found here, not on the device
    here = _here(bundle)
    if arguments.json:
        _print({"id": bundle.id, "auto": here, "manifest": msgspec.to_builtins(manifest)}, True, "")
        return ACCEPTED
    print(f"{bundle.id}   {manifest.modality}, {manifest.task}")
    print(f"path             {bundle.path}")
    print(f"runs here as     {here.get('error') or '{variant} on {engine}'.format(**here)}")
    steps = ", ".join(str(step.__struct_config__.tag) for step in manifest.preprocessing)
    print(f"sample           {manifest.source.__struct_config__.tag}: {steps or 'as it is'}")
    for graph in manifest.graphs:
        for tensor in graph.inputs:
            print(f"input            {graph.name}.{tensor.name} {_shape(tensor.shape)} {tensor.dtype}: {tensor.feed}")
        for output in graph.outputs:
            print(f"output           {graph.name}.{output.name} {_shape(output.shape)} {output.dtype}: {output.role}")
    print(f"score            {manifest.score.kind}; higher is more genuine")
    training = manifest.training
    print(f"trained          {training.recipe} ({training.preset}), {training.steps} steps, {', '.join(training.data)}")
    if training.quantisation_aware:
        print(f"for int8         the last {training.quantisation_aware} of these steps")
    for teacher in training.teachers:
        print(f"taught by        {teacher}")
    allowed = "allowed" if manifest.data_license.commercial_use else "NOT allowed"
    print(f"commercial use   {allowed} by the training data: {manifest.data_license.statement}")
    for variant in manifest.variants:
        _print_variant(manifest, variant)
    return ACCEPTED


def _here(bundle: Bundle) -> dict[str, str]:
    """What ``--engine auto`` chooses on this device for one thread, or why it cannot."""
    from edge_sdk.runtime.selection import choose

    try:
        choice = choose(bundle)
    except EdgeSdkError as exc:
        return {"error": str(exc)}
    return {"engine": choice.engine, "variant": choice.variant.id}


def _print_variant(manifest: Manifest, variant: Variant) -> None:
    print(f"\n{variant.id}   {manifest.variant_size(variant.id) / 1e6:.3f} MB")
    if variant.calibration:
        calibration = variant.calibration
        print(f"  calibrated with {calibration.count} samples of {calibration.data}, {calibration.method}")
    for cost in variant.accuracy:
        delta, bound, budget = (f"{100 * value:+.2f}" for value in (cost.delta, cost.upper90, cost.budget))
        verdict = f"{cost.verdict} ({cost.subjects} people)"
        print(f"  against float: {cost.metric} {delta} points, at most {bound} (90 %), budget {budget}: {verdict}")
    for point in variant.operating_points:
        print(f"  {point.name:<14} {_describe(point)}")


def _describe(point: OperatingPoint) -> str:
    from edge_sdk.manifest import UnsupportedPoint

    if isinstance(point, UnsupportedPoint):
        return f"not supported: {point.reason}"
    rates = point.rates.items()
    measured = (f"{name} {100 * r.value:.2f} % [{100 * r.low:.2f}, {100 * r.high:.2f}]" for name, r in rates)
    return f"threshold {point.threshold:#.4g}   {'   '.join(measured)}   {point.data}"


def _shape(shape: tuple[int | str, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _selftest(arguments: argparse.Namespace) -> int:
    import dataclasses

    from edge_sdk.runtime.selftest import passed, selftest

    replays = selftest(arguments.bundle, engine=arguments.engine, threads=arguments.threads)
    success = passed(replays)
    if not arguments.json:
        for replay in replays:
            score = "" if replay.score is None else f"{replay.score:.6f}, "
            wanted = f"expected {replay.expected:.6f} +- {replay.tolerance:g}   "
            what = f"{replay.status.upper():<8} {replay.variant_id:<16} {replay.engine:<14}"
            print(f"{what} {'' if replay.status == 'skipped' else score + wanted}{replay.detail}".rstrip())
    values = {"passed": success, "replays": [dataclasses.asdict(replay) for replay in replays]}
    nothing = all(replay.status == "skipped" for replay in replays)
    _print(values, arguments.json, "passed" if success else f"FAILED{': nothing was replayed' if nothing else ''}")
    return ACCEPTED if success else REJECTED

"""``edge-sdk rule``: how a bundle's streams are decided, tuned on recordings of people."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    SPOOF_BUNDLE,
    add_bundle,
    add_data,
    add_engine,
    add_json,
    add_out_bundle,
    add_precision,
    add_subjects_file,
    export_extra,
    load_data,
    print_result,
)
from edge_sdk.cli.signatures import add_sign_key, read_keys, signature_line
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.export.evaluation.spoof.rules import RuleErrors, TunedRule
    from edge_sdk.export.packaging.over_time import Recorded
    from edge_sdk.manifest import DecisionOverTime
    from edge_sdk.tables import Table

SUMMARY = "Tune on recordings how a bundle decides videos and cameras over time."
DETAILS = (
    "Reads recordings of live people and of attacks, none of people it will be measured on: folders of frames, or "
    "films rendered by film+. Scores each frame once, keeps the scores in the user's cache, and searches for the rule, "
    "K of N or a sequential test, that refuses the fewest live people among those that let at most a stated share of "
    "attacks pass. Prints the errors of the bundle's rule and of the new one on these recordings, and writes a copy of "
    "the bundle that decides streams by the new one. Models and thresholds stay the same."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser, SPOOF_BUNDLE)
    add_data(parser)
    add_subjects_file(parser)
    add_out_bundle(parser, required=False)
    parser.add_argument(
        "--apcer",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="attacks that may pass, of each species; default: 0.02",
    )
    parser.add_argument(
        "--as-before",
        action="store_true",
        help="of a species of which more pass by the bundle's own rule, let as many pass, and no more",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="tune nothing: print the errors of the bundle's rule, and of 7 of 10 frames, on these recordings",
    )
    parser.add_argument(
        "--faces",
        choices=("cascade", "locator"),
        default="cascade",
        help="who finds faces in whole frames: OpenCV's cascade, or the bundle face_locator; default: cascade",
    )
    parser.add_argument(
        "--cropped",
        nargs="+",
        default=[],
        metavar="NAME",
        help="data sets among these, as results name them (nuaa), whose pictures are crops of one face",
    )
    parser.add_argument("--frame-rate", type=float, default=20.0, metavar="HZ", help="frames a second; default: 20")
    for name, meaning in (
        ("deadline", "seconds to reach a decision in"),
        ("cooldown", "seconds that SPOOF stays"),
        ("gap", "seconds that a face may be out of sight"),
    ):
        parser.add_argument(
            f"--{name}", type=float, metavar="S", help=f"{meaning}, kept with the rule; default: the bundle's"
        )
    parser.add_argument("--operating-point", metavar="NAME", help="about which the rule lies; default: the bundle's")
    add_engine(parser)
    add_precision(parser)
    add_sign_key(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Score, search, write and print."""
    import dataclasses

    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime.temporal import KOfN, limits_of

    if arguments.measure and arguments.out:
        raise UsageError("--measure writes nothing: leave --out away")
    if arguments.sign_key and not arguments.out:
        raise UsageError("--sign-key signs the bundle that --out names, and there is none")
    if not 0 < arguments.apcer < 1:
        raise UsageError(f"--apcer is {arguments.apcer}; it must be between 0 and 1")
    keys, bundle = read_keys(arguments.sign_key), Bundle.open(arguments.bundle)
    if bundle.manifest.task != "spoof":
        raise UsageError(f"{bundle.id} is for task {bundle.manifest.task}: only bundles of task spoof decide streams")
    given = {f"{name}_s": getattr(arguments, name) for name in ("gap", "cooldown", "deadline")}
    limits = dataclasses.replace(limits_of(bundle.manifest), **{n: v for n, v in given.items() if v is not None})
    with export_extra():
        from edge_sdk.export.packaging import over_time
        from edge_sdk.export.training.progress import ProgressDisplay
    if arguments.out:
        over_time.require_copy(bundle, arguments.out)  # before anything is done
    with ProgressDisplay(quiet=arguments.json) as progress:
        data = load_data(arguments, bundle, progress)
        recorded = over_time.record(
            bundle,
            data,
            faces=arguments.faces,
            cropped=arguments.cropped,
            operating_point=arguments.operating_point,
            engine=arguments.engine,
            precision=arguments.precision,
            gap_s=limits.gap_s,
            frame_rate=arguments.frame_rate,
            progress=lambda done, total: progress.report("scoring frames", done, total),
        )
        before = recorded.errors(limits)
        if arguments.measure:
            votes = recorded.errors(limits, KOfN(recorded.threshold))
            print_result(arguments, _measured(recorded, before, votes), _text_measured(recorded, before, votes))
            return ACCEPTED
        settings, found = over_time.tuned(
            recorded,
            limits,
            apcer=arguments.apcer,
            as_before=arguments.as_before,
            progress=lambda done, total: progress.report("trying rules", done, total),
        )
    written = over_time.write(bundle, settings, arguments.out, keys) if arguments.out else None
    print_result(
        arguments, _values(recorded, before, settings, written), _text(recorded, before, settings, found, written)
    )
    return ACCEPTED


def _values(
    recorded: Recorded, before: RuleErrors, settings: DecisionOverTime, written: Bundle | None
) -> dict[str, Any]:
    import msgspec

    return {
        "bundle": recorded.bundle.id,
        "engine": recorded.engine,
        "threshold": recorded.threshold,
        "before": {"bpcer": msgspec.to_builtins(before.bpcer), "species": msgspec.to_builtins(before.species)},
        "over_time": msgspec.to_builtins(settings),
        "written": None
        if written is None
        else {"path": str(written.path), "id": written.id, "signed": written.has_signature},
    }


def _measured(recorded: Recorded, own: RuleErrors, votes: RuleErrors) -> dict[str, Any]:
    import msgspec

    rows = {
        name: {"bpcer": msgspec.to_builtins(one.bpcer), "species": msgspec.to_builtins(one.species)}
        for name, one in (("own", own), ("votes", votes))
    }
    return {"bundle": recorded.bundle.id, "engine": recorded.engine, "threshold": recorded.threshold, **rows}


def _text_measured(recorded: Recorded, own: RuleErrors, votes: RuleErrors) -> str:
    from edge_sdk.runtime.temporal import rule_of

    rule = rule_of(recorded.bundle.manifest, recorded.threshold)
    table = _table({"7 of 10": votes, "the bundle's": own}, "Of recordings; 95 % intervals over people.")
    return f"{_head(recorded)}\n\nthe bundle's: {rule}\n\n{table.plain()}"


def _text(
    recorded: Recorded, before: RuleErrors, settings: DecisionOverTime, found: TunedRule, written: Bundle | None
) -> str:
    from edge_sdk.runtime.temporal import placed, rule_of

    note = "Of recordings; 95 % intervals over people, on whom the tuned rule was chosen."
    lines = [
        _head(recorded),
        f"before: {rule_of(recorded.bundle.manifest, recorded.threshold)}",
        f"tuned:  {placed(settings.rule, recorded.threshold)}; the best of {found.shapes} shapes",
        _table({"before": before, "tuned": found.errors}, note).plain(),
    ]
    if written:
        signed = signature_line(written, was_signed=recorded.bundle.has_signature)
        lines.append("\n".join([f"written: {written.id} in {written.path}", *filter(None, [signed])]))
    return "\n\n".join(lines)


def _head(recorded: Recorded) -> str:
    people = len({one.subject for one in recorded.recordings})
    at = f"threshold {recorded.threshold:.4g} ({recorded.operating_point})"
    return (
        f"{recorded.bundle.id}, {recorded.variant}, engine {recorded.engine}; {at}; {people} people of {recorded.data}"
    )


def _table(rows: dict[str, RuleErrors], note: str) -> Table:
    from edge_sdk.tables import Table

    def row(name: str, errors: RuleErrors) -> tuple[str, ...]:
        rates = (errors.bpcer, *errors.species.values())
        return name, *(f"{100 * r.value:.1f} % [{100 * r.low:.1f}, {100 * r.high:.1f}]" for r in rates)

    first = next(iter(rows.values()))
    kinds = (f"APCER {kind}, {rate.trials}" for kind, rate in first.species.items())
    head = ("rule", f"BPCER, {first.bpcer.trials} live", *kinds)
    return Table(head, [row(name, one) for name, one in rows.items()], text=("rule",), note=note)

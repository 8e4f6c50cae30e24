"""``edge-sdk reproduce``: a document's table, or one of our own, in one command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    add_data,
    add_json,
    add_same_people,
    add_seed,
    export_extra,
    print_result,
    report_progress,
)
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.export.reproduction.protocols import TableProtocol
    from edge_sdk.export.reproduction.reproduce import ReproductionRequest
    from edge_sdk.export.reproduction.tables import ResultTable

SUMMARY = "Train and test what a table of a document needs, and print it beside the document's."
DETAILS = (
    "Reads the data sets, writes trainings and the table into a folder. Finished trainings are not repeated, "
    "interrupted ones are resumed."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="deepsign-table4 (sizes, needs no data), deepsign-table6, deepsign-table7, leave-one-out or "
        "cross-validation (signatures); person_verification (pairs of CFP's faces); facenet (pairs of LFW's); "
        "gait-table1 (networks that name walkers), gait-table2 (densities of features) and gait-table3 (principal "
        "components, with figures; walks), likelihood-ratio (a bundle's embeddings, by the score of the gait paper); "
        "thesis-losses (variational autoencoders of live faces, figures 4.1 to 4.15), thesis-ganomaly (figures 4.16 to "
        "4.18), thesis-weights, thesis-filters and thesis-mixtures (loss weights, filters, Gaussians on the latents)",
    )
    add_data(parser, required=False)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for trainings and tables")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="recipes; default: deepsign, mobilenetv2 and signet"
    )
    parser.add_argument(
        "--presets",
        nargs="+",
        metavar="NAME",
        help="default: best; paper for deepsign-table4 and for the features of gait-table2 and gait-table3; for "
        "person_verification, facenet and gait-table1 the rows to train, none by default; for thesis-losses some of "
        "baseline, filtered, augmented and resvae, all by default",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps of each training; default: the table's")
    add_seed(parser, "splits and trainings")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="folds of cross-validation and likelihood-ratio, default: 2; gait-table2: of users, whose population is "
        "everybody in the other folds, default: 4",
    )
    parser.add_argument(
        "--users",
        nargs="+",
        default=[],
        metavar="USER",
        help="gait-table2: to be enrolled, default: everybody; gait-table3: the first is drawn",
    )
    parser.add_argument(
        "--width",
        type=float,
        metavar="SHARE",
        help="thesis-...: share of the printed channels, above 0 and at most 1, default: 0.125; the learning rate is "
        "the printed one divided by it",
    )
    parser.add_argument(
        "--cohort",
        type=int,
        metavar="K",
        help="normalise each score by the K nearest signatures of training people; default: scores as they are",
    )
    parser.add_argument(
        "--references",
        type=int,
        nargs="+",
        metavar="N",
        help="for a table of signatures: measure enrolments of so many references each, such as 1 3 5 10, with one "
        "threshold for all people and with each person's own",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="with --references: finished runs to take instead of training, one for each training of the table, such "
        "as those of `train --fold`",
    )
    parser.add_argument("--bundle", metavar="BUNDLE", help="likelihood-ratio: whose embeddings, of people new to it")
    parser.add_argument(
        "--run",
        type=Path,
        metavar="RUN",
        help="likelihood-ratio: what the bundle was exported from, which says who is new to it; needed unless it was "
        "trained on exactly these data, with people drawn by its seed; gait-table2 and gait-table3: whose features to "
        "take instead of training a network",
    )
    add_same_people(parser, "likelihood-ratio: ")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="pretrained weights, for recipes that take such")
    parser.add_argument("--tiny", action="store_true", help="train the recipes' small test versions, to try things out")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the table."""
    with export_extra():
        from edge_sdk.export.reproduction import (
            facenet,
            gait_table1,
            gait_table2,
            gait_table3,
            likelihood_ratio,
            person_verification,
            protocols,
        )
        from edge_sdk.export.reproduction.thesis import ganomaly, losses, studies
    gait = {module.NAME: module.reproduce for module in (gait_table1, gait_table2, gait_table3)}
    thesis = {losses.NAME: losses.reproduce, ganomaly.NAME: ganomaly.reproduce, **studies.COMMANDS}
    if arguments.table == person_verification.NAME:
        table = _persons(arguments)
    elif arguments.table == facenet.NAME:
        table = _facenet(arguments)
    elif arguments.table in gait:
        table = _gait(arguments, gait[arguments.table])
    elif arguments.table in thesis:
        table = _thesis(arguments, thesis[arguments.table])
    elif arguments.table == likelihood_ratio.NAME:
        table = _likelihood_ratio(arguments)
    elif arguments.table == protocols.SIZE_TABLE:
        table = _sizes(arguments)
    else:
        table = _accuracies(arguments)
    paths = table.write(arguments.out)
    values = {**table.as_dict(), "files": [str(path) for path in paths]}
    print_result(arguments, values, table.markdown() + "\nwritten: " + ", ".join(map(str, paths)))
    return ACCEPTED


def _persons(arguments: argparse.Namespace) -> ResultTable:
    from edge_sdk.export.reproduction.person_verification import PersonRequest, reproduce

    request = PersonRequest(
        out=arguments.out,
        presets=tuple(arguments.presets or ()),
        data=tuple(arguments.data),
        steps=arguments.steps,
        seed=arguments.seed,
        weights=arguments.weights,
        tiny=arguments.tiny,
    )
    return reproduce(request, report_progress)


def _facenet(arguments: argparse.Namespace) -> ResultTable:
    from edge_sdk.export.reproduction.facenet import FacenetRequest, reproduce

    request = FacenetRequest(
        out=arguments.out,
        presets=tuple(arguments.presets or ()),
        data=tuple(arguments.data),
        steps=arguments.steps,
        seed=arguments.seed,
        tiny=arguments.tiny,
    )
    return reproduce(request, report_progress)


def _gait(arguments: argparse.Namespace, reproduce: Callable[..., ResultTable]) -> ResultTable:
    from edge_sdk.export.reproduction.gait import GaitRequest

    request = GaitRequest(
        out=arguments.out,
        data=tuple(arguments.data),
        presets=tuple(arguments.presets or ()),
        steps=arguments.steps,
        seed=arguments.seed,
        users=tuple(arguments.users),
        folds=_folds(arguments, 4),
        run=arguments.run,
        tiny=arguments.tiny,
    )
    return reproduce(request, report_progress)


def _thesis(arguments: argparse.Namespace, reproduce: Callable[..., ResultTable]) -> ResultTable:
    from edge_sdk.export.reproduction.thesis.experiments import WIDTH, ThesisRequest

    request = ThesisRequest(
        out=arguments.out,
        data=tuple(arguments.data),
        experiments=tuple(arguments.presets or ()),
        steps=arguments.steps,
        seed=arguments.seed,
        width=WIDTH if arguments.width is None else arguments.width,
        tiny=arguments.tiny,
    )
    return reproduce(request, report_progress)


def _likelihood_ratio(arguments: argparse.Namespace) -> ResultTable:
    from edge_sdk.export.data.same_people import SamePeople
    from edge_sdk.export.reproduction.likelihood_ratio import LikelihoodRequest, reproduce

    if not arguments.bundle or not arguments.data:
        raise UsageError("likelihood-ratio compares the embeddings of a bundle: give --bundle and --data")
    request = LikelihoodRequest(
        bundle=arguments.bundle,
        data=tuple(arguments.data),
        run=arguments.run,
        same=SamePeople.read(arguments.same_people) if arguments.same_people else SamePeople(),
        folds=_folds(arguments, 2),
        seed=arguments.seed,
    )
    return reproduce(request, report_progress)


def _sizes(arguments: argparse.Namespace) -> ResultTable:
    from edge_sdk.export.reproduction import tables
    from edge_sdk.export.reproduction.sizes import sizes

    return tables.size_table(sizes(_models(arguments), arguments.presets or ["paper"], tiny=arguments.tiny))


def _accuracies(arguments: argparse.Namespace) -> ResultTable:
    from edge_sdk.export.reproduction import protocols, tables
    from edge_sdk.export.reproduction.reproduce import ReproductionRequest, reproduce

    protocol = protocols.get(arguments.table)
    if arguments.runs and arguments.references is None:
        raise UsageError("--runs are measured by the number of references: give --references, such as 1 3 5 10")
    request = ReproductionRequest(
        data=tuple(arguments.data),
        out=arguments.out,
        models=_models(arguments),
        presets=tuple(arguments.presets or ["best"]),
        steps=arguments.steps,
        seed=arguments.seed,
        folds=_folds(arguments, 2),
        cohort=arguments.cohort,
        weights=arguments.weights,
        tiny=arguments.tiny,
    )
    if arguments.references is not None:
        return _enrolments(arguments, protocol, request)
    return tables.accuracy_table(protocol, request, reproduce(protocol, request, report_progress))


def _enrolments(arguments: argparse.Namespace, protocol: TableProtocol, trainings: ReproductionRequest) -> ResultTable:
    from edge_sdk.export.evaluation.plots import save_png
    from edge_sdk.export.reproduction import enrolment, enrolment_table

    request = enrolment.EnrolmentRequest(
        trainings=trainings, counts=tuple(arguments.references), runs=tuple(arguments.runs)
    )
    rows = enrolment.reproduce(protocol, request, report_progress)
    table = enrolment_table.enrolment_table(protocol, request, rows)
    path = arguments.out / f"{table.name}.png"
    save_png(enrolment_table.figure(rows), path)
    report_progress(f"drawn: {path}")
    return table


def _models(arguments: argparse.Namespace) -> tuple[str, ...]:
    from edge_sdk.export import recipes
    from edge_sdk.export.reproduction import protocols

    return tuple(arguments.models or [name for name in protocols.PAPER_MODELS if name in recipes.names()])


def _folds(arguments: argparse.Namespace, default: int) -> int:
    return default if arguments.folds is None else int(arguments.folds)

"""``edge-sdk inspect``: what a bundle is, or a template."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import BUNDLE, VERIFY_BUNDLE, add_json, add_template_key, print_result, warn_of_opencv
from edge_sdk.cli.output import printable, wrapped
from edge_sdk.cli.points import listed, shortened
from edge_sdk.errors import EdgeSdkError, RollbackError, SignatureError, StorageError, UsageError

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.manifest import DecisionOverTime, Input, Manifest, Output, Variant

SUMMARY = "Show what a bundle contains, was trained on and reached; or what a template is."
DETAILS = (
    "Reads the bundle, checks every file's hash and prints inputs, outputs, thresholds with their measured error "
    "rates and 95 % intervals, which engine and variant `--engine auto` would take here, and whether this device "
    "trusts its signature. Of a template it prints what it was made with, how many references it holds, how many of "
    "them updates added, and whether its bundle has that variant; nothing of the person. Of an encrypted one without "
    "its key, the header alone. Writes nothing. Of many data sets the text names the first ones; --json names all."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "inspected",
        nargs="?",
        default=VERIFY_BUNDLE,
        metavar="BUNDLE_OR_TEMPLATE",
        help=f"{BUNDLE}, or a template that `edge-sdk enroll` wrote; default: {VERIFY_BUNDLE}",
    )
    parser.add_argument(
        "--bundle",
        metavar="BUNDLE",
        help="the bundle that made a template; default: the shipped one of its name",
    )
    add_template_key(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the manifest for people, or as it is; or the template's record."""
    import msgspec

    from edge_sdk.bundle import Bundle
    from edge_sdk.bundle.trust import OFF
    from edge_sdk.runtime import Template, device

    if Template.is_at(arguments.inspected):
        return _inspect_template(arguments)
    for option in ("bundle", "key", "plain"):
        if getattr(arguments, option):
            raise UsageError(f"--{option} goes with a template; a bundle is named without it")
    warn_of_opencv()
    bundle = Bundle.open(arguments.inspected, trust=OFF)  # so that one that is not trusted can be looked at
    for entry in bundle.manifest.files:
        bundle.read(entry)  # a damaged file is found here, not on the device
    bundle.check_models()
    here, signature = _chosen_here(bundle), _signature(bundle)
    values = {
        "id": bundle.id,
        "sha256": bundle.sha256,
        "auto": here,
        "instruction_set": device.instruction_set(),
        "signature": signature,
        "manifest": msgspec.to_builtins(bundle.manifest),
    }
    print_result(arguments, values, "\n".join(_lines(bundle, here, signature)))
    return ACCEPTED


def _inspect_template(arguments: argparse.Namespace) -> int:
    from edge_sdk.cli import inspect_template
    from edge_sdk.runtime import Template, template_keys

    path = arguments.inspected
    header, key = Template.header(path), template_keys.chosen(arguments.key, plain=arguments.plain)
    if header is not None and key is None:
        values, lines = inspect_template.shown_without_key(path, header)
    else:
        template = Template.load(path, key=key, plain=arguments.plain)
        values = inspect_template.described(path, template, header, arguments.bundle)
        lines = inspect_template.text(values)
    print_result(arguments, values, "\n".join(map(printable, lines)))
    return ACCEPTED


def _lines(bundle: Bundle, here: dict[str, str], signature: dict[str, Any]) -> list[str]:
    """For people; no text of a bundle makes a line that begins as ours do."""
    manifest = bundle.manifest
    to_copy = [
        f"{bundle.id}   {manifest.modality}, {manifest.task}",
        f"path             {bundle.path}",
        f"sha256          {bundle.sha256}",  # 80 columns
    ]
    lines = [*map(printable, to_copy), *(wrapped(line, 17) for line in _facts(bundle, here, signature))]
    for variant in manifest.variants:
        lines += _variant_lines(manifest, variant)
    return lines


def _facts(bundle: Bundle, here: dict[str, str], signature: dict[str, Any]) -> list[str]:
    from edge_sdk.runtime import device

    manifest = bundle.manifest
    keys = "comes with edge-sdk" if bundle.shipped else ", ".join(one[:12] for one in signature["keys"])
    none = "damaged" if signature["damaged"] else "none"
    policy = signature["policy"] or "unknown"
    lines = [
        f"signature        {keys or none}; policy {policy}: {signature['objection'] or 'opens here'}",
        f"runs here as     {here.get('error') or '{variant} on {engine}'.format(**here)}",
        f"instruction set  {device.instruction_set()}",
    ]
    steps = ", ".join(str(step.__struct_config__.tag) for step in manifest.preprocessing)
    lines.append(f"sample           {manifest.source.__struct_config__.tag}: {steps or 'as it is'}")
    for graph in manifest.graphs:
        lines += [f"input            {graph.name}.{_tensor(tensor)} from {tensor.feed}" for tensor in graph.inputs]
        lines += [f"output           {graph.name}.{_tensor(tensor)}: {tensor.role}" for tensor in graph.outputs]
    training = manifest.training
    lines += [
        f"score            {manifest.score.described}; higher is more genuine",
        f"trained          {training.recipe} ({training.preset}), {training.steps} steps, {', '.join(training.data)}",
    ]
    if manifest.score.one_class:
        lines.append("one-class        learned live samples alone, of its cameras: calibrate --live fits it to yours")
    lines += [
        f"other camera     {one.data}, density {one.density}: AUROC {one.auroc:.3f} [{one.low:.3f}, {one.high:.3f}], "
        f"{one.subjects} people"
        for one in manifest.cameras
    ]
    if manifest.score.least_enrolled > 1:
        lines.append(f"enrols           from {manifest.score.least_enrolled} rows on, such as the cycles of walks")
    if training.quantisation_aware:
        lines.append(f"for int8         the last {training.quantisation_aware} of these steps")
    lines += [f"taught by        {teacher}" for teacher in training.teachers]
    allowed = "allowed" if manifest.data_license.commercial_use else "NOT allowed"
    lines.append(f"commercial use   {allowed} by the training data: {manifest.data_license.statement}")
    if manifest.default_point:
        lines.append(f"decides at       {manifest.default_point}, unless another operating point is named")
    if fitted := manifest.thresholds:
        lines.append(
            f"thresholds       fitted again on {shortened(fitted.data)}: {fitted.subjects} people, {fitted.impostors}; "
            f"the models are those of {fitted.previous_bundle}"
        )
        if fitted.pictures:
            anew = ", ".join(fitted.densities)
            densities = f"densities fitted to them: {anew}" if anew else "no density to fit"
            lines.append(f"camera           {fitted.pictures} live pictures; {densities}")
    lines += [
        f"unfamiliar       beyond {known.limit:.3g} in {', '.join(known.measures)}: {100 * known.flagged:.1f} % of "
        f"{known.samples} samples of {shortened(known.data)}, {known.subjects} people"
        for known in (manifest.familiarity,)
        if known is not None
    ]
    if manifest.over_time:
        lines += _over_time(manifest.over_time)
    return lines


def _over_time(settings: DecisionOverTime) -> list[str]:
    """How streams are decided; frames count from the threshold in use on, or from a margin above it."""
    from edge_sdk.runtime.temporal import placed

    tuned = settings.tuned
    errors = ", ".join(
        f"{name} {100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        for name, rate in (("APCER", tuned.apcer), ("BPCER", tuned.bpcer))
    )
    limits = f"gap {settings.gap_s:g} s, cooldown {settings.cooldown_s:g} s, deadline {settings.deadline_s:g} s"
    on = f"{tuned.variant} at {tuned.operating_point} on {shortened(tuned.data)}: {tuned.subjects} people, {errors}"
    return [
        f"streams          {placed(settings.rule, 0.0)}, of scores less the threshold; {limits}",
        f"                 tuned with {on}",
    ]


def _signature(bundle: Bundle) -> dict[str, Any]:
    """Whose keys a bundle names, and why this device does not open it, if so."""
    from edge_sdk.bundle.trust import default_trust

    trust, objection, keys, damaged = None, None, list[str](), False
    try:
        trust = default_trust()
    except StorageError as error:
        objection = str(error)
    try:
        keys = [one.key_id for one in bundle.signatures()]
    except SignatureError:
        damaged = True  # which is an objection only where the policy asks for a signature
    try:
        if trust is not None:
            bundle.check_trust(trust)
    except (SignatureError, RollbackError) as error:
        objection = str(error)
    policy = None if trust is None else trust.policy
    return {"keys": keys, "damaged": damaged, "shipped": bundle.shipped, "policy": policy, "objection": objection}


def _chosen_here(bundle: Bundle) -> dict[str, str]:
    """What ``--engine auto`` chooses on this device for one thread, or why it cannot."""
    from edge_sdk.runtime.engines import import_engine
    from edge_sdk.runtime.selection import choose

    try:
        choice = choose(bundle)
        import_engine(choice.engine)  # one that is installed may still not load
    except EdgeSdkError as exc:
        return {"error": str(exc)}
    return {"engine": choice.engine, "variant": choice.variant.id}


def _variant_lines(manifest: Manifest, variant: Variant) -> list[str]:
    lines = [f"{variant.id}   {manifest.variant_size(variant.id) / 1e6:.3f} MB"]
    if variant.calibration:
        calibration = variant.calibration
        data = shortened(calibration.data)
        lines.append(f"  calibrated with {calibration.count} samples of {data}, {calibration.method}")
        if calibration.float_nodes:
            lines.append(f"  in float: {', '.join(calibration.float_nodes)}")
    for cost in variant.accuracy:
        delta, bound, budget = (f"{100 * value:+.2f}" for value in (cost.delta, cost.upper90, cost.budget))
        verdict = f"{cost.verdict} ({cost.subjects} people)"
        lines.append(
            f"  against float: {cost.metric} {delta} points, at most {bound} (90 %), budget {budget}: {verdict}"
        )
    return ["", *(wrapped(line, 4) for line in lines), *listed(manifest, variant.operating_points)]


def _tensor(tensor: Input | Output) -> str:
    return f"{tensor.name} {' x '.join(map(str, tensor.shape))} {tensor.dtype}"

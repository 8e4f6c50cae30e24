"""The results as tables, and as a page of the documentation with plots."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""The lines of each row, as ``Result.as_dict`` gives them."""

MARK = {True: "yes", False: "**no**", None: ""}
INTRODUCTION = """\
Every figure is this build's beside that of an earlier one in the same run, on one machine, one thread, the contestants
in turns: the median, and in brackets the middle half of the calls. Within a process it is the processor's time, so that
other programs do not count; of fresh processes, and of the slowest in a thousand calls, it is that of the clock on the
wall. Times are this machine's: compare ratios. The page is written by

    {command}

on {date}, {machine}; {versions}. The baseline is {baseline}:
`python benchmarks/compare.py --help` says how to set it up."""

WITHOUT_VNNI = """\
The same processor with `EDGE_SDK_INSTRUCTIONS=avx2 ONEDNN_MAX_CPU_ISA=AVX2`: edge-sdk chooses and loads as without
VNNI, and OpenVINO uses AVX2. ONNX Runtime and LiteRT (XNNPACK) do not obey and still use what the processor has, and
the baseline does not know the first variable. So which engine is the fastest without VNNI cannot be measured here: the
order in `edge_sdk/runtime/selection.py` is from an AVX2 machine. What the instructions do not change is above."""

ACCURACY = """\
Scores and decisions of both builds, each with its own threshold for the equal error rate, on the same trials of real
people: signatures of CEDAR (five enrolled; own ones, forgeries and other people's compared), pictures of NUAA's test
list, and where the baseline has the bundle, faces of LFW and walks of the Nexus data. Some of these people taught the
bundles: this compares builds, and is no measure of the bundles. The difference is the guardrail's, with its upper 90 %
bound."""

COLORS = {"before": "#999999", "now": "#1b5e8c", "now, locator": "#c2571a"}

LABELS = {"before": "baseline", "now": "this build", "now, locator": 'this build, faces="locator"'}


def table(rows: Rows, before: str) -> Iterator[str]:
    """One table of Markdown, and the notes below it."""
    yield f"| what | to reach | {before} | this build | reached |"
    yield "|---|---|---|---|---|"
    for lines in rows.values():
        for line in lines:
            cells = (line["what"], line["goal"], *line["figures"], MARK[line["reached"]])
            yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
    notes = [line["note"] for lines in rows.values() for line in lines if line["note"]]
    if notes:
        yield ""
        yield from (f"- {note}" for note in notes)


def write(path: Path, found: Mapping[str, Any], peers: Sequence[str]) -> None:
    """Write the page, and its plots beside it.

    Args:
        path: ``speed.md``.
        found: What ``compare.py`` keeps as JSON.
        peers: Lines of the section on other libraries.
    """
    pictures = plots(path, found["sets"])
    lines = ["# Results: speed", "", *INTRODUCTION.format(**found).splitlines()]
    for name, one in found["sets"].items():
        lines += ["", f"## {one['title']}", ""]
        if name == "avx2":
            lines += [*WITHOUT_VNNI.splitlines(), ""]
        rows = dict(one["rows"])
        accuracy = rows.pop("accuracy", ())
        lines += table(rows, found["baseline"])
        lines += ["", *(f"- Not measured: {text}" for text in one["failed"])] if one["failed"] else []
        lines += [text for alt, picture in pictures[name] for text in ("", f"![{alt}]({picture.name})")]
        if accuracy:
            lines += ["", *ACCURACY.splitlines(), "", *table({"accuracy": accuracy}, found["baseline"])]
    path.write_text("\n".join([*lines, "", *peers]).rstrip() + "\n", encoding="utf-8")


def plots(page: Path, sets: Mapping[str, Any]) -> dict[str, list[tuple[str, Path]]]:
    """Draw the plots of each instruction set: what is said where there is no picture, and the file."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for name, one in sets.items():
        found[name] = []
        series = {
            line["what"]: line["series"]
            for row, lines in one["rows"].items()
            for line in lines
            if line["series"] and row != "tail"  # whose calls are those of "verify"
        }
        ratios = {
            shorter(what): statistics.median(values["now"]) / statistics.median(values["before"])
            for what, values in series.items()
        }
        if ratios:
            target = page.with_name(f"speed-{name}-ratios.svg")
            draw_ratios(target, ratios)
            found[name].append(("Time of this build over the baseline's, by row", target))
        for row, title in (("video", "frames"), ("tail", "calls")):
            measured = [line["series"] for line in one["rows"].get(row, ()) if line["series"]]
            if measured:
                target = page.with_name(f"speed-{name}-{title}.svg")
                draw_shares(target, measured[0], title)
                found[name].append((f"Share of {title} that take longer, by milliseconds", target))
    return found


def shorter(what: str) -> str:
    """A row's name without code marks and what stands in brackets."""
    return what.partition(" (")[0].partition(", in ")[0].replace("`", "")


def draw_ratios(target: Path, ratios: Mapping[str, float]) -> None:
    """A bar for each row: the median time of this build over the baseline's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.6 + 0.42 * len(ratios)), layout="constrained")
    axes = figure.subplots()
    places = range(len(ratios))
    axes.barh(places, list(ratios.values()), color=COLORS["now"], height=0.6)
    axes.axvline(1, color="#444", linewidth=0.8)
    axes.set_yticks(places, list(ratios))
    axes.invert_yaxis()
    for place, value in zip(places, ratios.values(), strict=True):
        axes.text(value + 0.01, place, f"{value:.2f}", va="center", fontsize=9)
    axes.set(xlabel="median time, this build / baseline", xlim=(0, max(1.1, *ratios.values()) * 1.05))
    save(figure, axes, target)


def draw_shares(target: Path, series: Mapping[str, list[float]], what: str) -> None:
    """The share that takes longer than each time, both axes logarithmic: the tail is on the right below."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        ordered = sorted(values)
        count = len(ordered)
        ranks = sorted({min(count - 1, int(count * (1 - 10 ** (-k / 60)))) for k in range(301)})  # dense in the tail
        points = [ordered[rank] for rank in ranks], [1 - rank / count for rank in ranks]
        axes.plot(*points, label=LABELS[name], color=COLORS[name], drawstyle="steps-post")
    axes.set(xscale="log", yscale="log", xlabel="ms", ylabel=f"share of {what} that take longer")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False)
    save(figure, axes, target)


def save(figure: Any, axes: Any, target: Path) -> None:
    """Write an SVG file; the same figure gives the same bytes."""
    import matplotlib as mpl

    axes.grid(visible=True, color="#eee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "edge-sdk", "svg.fonttype": "none"}):
        figure.savefig(target, format="svg", metadata={"Date": None})

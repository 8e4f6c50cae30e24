"""Every page is true of the code beside it: links lead somewhere, files exist, commands are accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import edge_sdk.errors
from edge_sdk import cli, preprocess
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data import pair_lists
from edge_sdk.export.data.load import load
from edge_sdk.export.data.pair_lists import load_pairs

from ..paths import ROOT
from .pages import PAGES, README, anchors, blocks, commands, inline, inline_commands, links, name

# Every command of the first README, before the documentation moved to docs/.
FIRST = """
verify reference.png query.png
demo
spoof --bundle live.edge driver.mkv
selftest mine.edge --engine all
tune mine.edge --threads 1,2
profile mine.edge --engine all --threads 1,2 --seconds 60 --report profile.html
slice mine.edge --format tflite --precision int8 --out app.edge
train deepsign --preset best --data cedar:PATH svc2004:PATH --out runs/first
train mobilenetv2 --weights mobilenet_v2-b0353104.pth --data cedar:PATH --out runs/mobilenet
train ganomaly --preset best --data spoof:PATH --out runs/live
train spoof_lbp --preset recorded --data SPEC --split people.json --out runs/lbp
train spoof_lite --preset rendered_large --data SPEC --split people.json --out runs/lite
export runs/lbp runs/lite --fusion lowest --formats onnx,tflite --name liveness --out liveness.edge
export runs/live runs/other --out both.edge
distill deepsign --teacher runs/large runs/other --data cedar:PATH --split FILE --unlabeled scans/ --out runs/small
distill ganomaly_lite --teacher runs/live --data spoof:PATH --split runs/live/split.json --out runs/lite
train mobilenetv2 --from runs/mobilenet --qat --data cedar:PATH --out runs/mobilenet-int8
export runs/first --out mine.edge --formats onnx,tflite,tensorrt
evaluate deepsign --data cedar:PATH photo+cedar:PATH
evaluate live.edge --data nuaa-test:PATH lfw:PATH print+lfw:PATH
reproduce deepsign-table7 --data cedar:PATH sigcomp2011:PATH svc2004:PATH --out runs/tables
enroll IMAGE IMAGE -o FILE
spoof SOURCE --votes 5 3 7 --deadline 5 --cooldown 3 --gap 1
spoof --camera 0 --sequential 1 0 --seconds 10 --frames 100
spoof FOLDER --fps 25 --faces cropped --json
inspect BUNDLE
distill deepsign --teacher RUN --relation 50 --embedding 5 --labels 0.2 --views 8 --data SPEC --out DIR
distill spoof_lite --teacher RUN --soft 1 --temperature 2 --data SPEC --out DIR
export RUN --leave-out --out BUNDLE
export RUN --report-only --out BUNDLE
evaluate BUNDLE --data SPEC --faces cascade --frame-rate 20 --subjects-file FILE
reproduce cross-validation --folds 2 --models deepsign --presets best --steps 800 --cohort 10 --data SPEC --out DIR
""".strip().splitlines()
HISTORY = ROOT / "CHANGELOG.md"  # names commands that are gone
TOP = ("edge_sdk", "native", "tests", "examples", "benchmarks", "findings", "docs", "requirements")

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    """``edge_sdk/images.py`` and the like; names in capitals stand for something."""
    named = [code for code in inline(page) if re.fullmatch(rf"(?:{'|'.join(TOP)})/[\w./-]+", code)]
    absent = [path for path in named if not re.search(r"\bNAME\b", path) and not (ROOT / path).exists()]
    assert absent == []


def parses(words: list[str]) -> bool:
    try:
        cli._parser(words[0]).parse_args(words)
    except SystemExit as exc:  # --help
        return not exc.code
    except UsageError:
        return False
    return True


@every_page
def test_commands_are_accepted(page: Path) -> None:
    """By the real parser; the values stand for themselves."""
    refused = [" ".join(words) for words in commands(page) if not parses(words)]
    assert refused == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=name)
def test_commands_in_the_text_are_accepted(page: Path) -> None:
    """``edge-sdk tune`` names a command; with more words behind it the whole line is parsed."""
    refused = []
    for words in inline_commands(page):
        fuller = [word.strip("[]").removesuffix("...") for word in words if word != "..."]
        if not parses([fuller[0], "--help"] if len(fuller) == 1 or "..." in words else fuller):
            refused.append(" ".join(words))
    assert refused == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 160


def test_every_command_is_on_the_page_of_commands() -> None:
    page = ROOT / "docs" / "cli.md"
    there = {words[0] for words in inline_commands(page)}
    (choices,) = (action.choices for action in cli._parser()._actions if action.choices)
    assert set(choices) <= there


def test_every_python_block_is_python() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compile(block.text, name(page), "exec")


@every_page
def test_functions_that_are_named_with_their_file_exist(page: Path) -> None:
    """``edge_sdk/images.py``, ``load``."""
    text = " ".join(page.read_text().split())
    for file, function in re.findall(r"`(edge_sdk/[\w/]+\.py)`, `(\w+)`", text):
        assert re.search(rf"(?:def|class) {function}\b", (ROOT / file).read_text()), f"{file} has no {function}"


@every_page
def test_data_sets_that_are_named_are_known(page: Path) -> None:
    """``cedar:PATH`` is a specification of a folder that is not there, not an unknown one."""
    words = [word for line in [*inline(page), *map(" ".join, commands(page))] for word in line.split()]
    for specification in {word for word in words if word.endswith(":PATH") and word not in ("NAME:PATH", "KIND:PATH")}:
        read = load_pairs if specification.partition(":")[0] in dict(pair_lists.rows()) else load
        with pytest.raises(DatasetError):
            read(specification)


@every_page
def test_recipes_and_presets_in_commands_exist(page: Path) -> None:
    for words in commands(page):
        if words[0] in ("train", "distill") and words[1] not in ("NAME", "RECIPE"):
            arguments = cli._parser(words[0]).parse_args(words)
            recipes.get(arguments.recipe).preset(arguments.preset)


def test_recipes_in_tables_have_these_presets() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| [\d,]+ \| [\d.]+ MB \| ([^|]+) \|", (ROOT / "docs/training.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 3
    for recipe, presets in rows:
        assert set(re.findall(r"`(\w+)`", presets)) == set(recipes.get(recipe).presets)


def test_every_error_is_on_the_page_of_errors() -> None:
    named = set(re.findall(r"`(\w+Error)`", (ROOT / "docs" / "errors.md").read_text()))
    there = {name for name in vars(edge_sdk.errors) if name.endswith("Error")}
    assert there - {"EdgeSdkError"} <= named


def test_every_environment_variable_is_on_the_page_of_commands() -> None:
    named = set(re.findall(r"EDGE_SDK_[A-Z]+", (ROOT / "docs" / "cli.md").read_text()))
    used = {
        word for path in (ROOT / "edge_sdk").rglob("*.py") for word in re.findall(r"EDGE_SDK_[A-Z]+", path.read_text())
    }
    assert used == named


def test_operations_in_the_table_exist() -> None:
    table = (ROOT / "docs" / "preprocessing.md").read_text().partition("## Operations")[2].partition("\n## ")[0]
    named = {
        word for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)
    }
    assert named <= {kind.__struct_config__.tag for kind in get_args(preprocess.Operation)}


@pytest.mark.parametrize("command", FIRST)
def test_commands_of_the_first_readme_are_still_accepted(command: str) -> None:
    """Or their successor stands in the CHANGELOG."""
    assert parses(command.split()) or f"`edge-sdk {command}`" in HISTORY.read_text()

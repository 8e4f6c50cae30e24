"""``evaluate``: arguments that do not go together; what it measures is tested beside the measures."""

from __future__ import annotations

import pytest

from edge_sdk.cli import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deepsign", "--workers", "-1"], "--workers is -1; it must be at least 0"),
        (["liveness", "--workers", "0"], "is for task spoof: --workers is for bundles of task verify"),
        (["deepsign", "--frame-rate", "20"], "is for task verify: --frame-rate is for bundles of task spoof"),
    ],
)
def test_wrong_usage_names_what_is_wrong(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *arguments, "--data", "synthetic:2"]) == 2
    assert words in capsys.readouterr().err

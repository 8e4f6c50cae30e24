"""The rule of a stream, tuned on recordings: against every rule there is, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_sdk.errors import DatasetError, ScoreError
from edge_sdk.export.evaluation.spoof import rules
from edge_sdk.export.evaluation.spoof.recorded import FaceRecording
from edge_sdk.export.evaluation.spoof.sessions import is_error
from edge_sdk.manifest import KOfNRule
from edge_sdk.runtime.temporal import KOfN, Limits, Observation, SequentialTest, placed

LIMITS = Limits()
THRESHOLD = 0.5
FRAMES, MARGINS = 8, 12


def recording(person: int, attack: str | None, scores: list[float], data: str = "made") -> FaceRecording:
    frames = tuple(Observation(number / 20, 1, score) for number, score in enumerate(scores))
    return FaceRecording(data, f"{data}/{person}", attack, "day", frames)


def drawn(people: int = 20, apart: float = 2.0, seed: int = 0) -> list[FaceRecording]:
    """People about 1, attacks about 1 - `apart`; each recording has a level of its own, and so has each frame."""
    rng = np.random.default_rng(seed)
    return [
        recording(person, attack, list(rng.normal(1 - apart * (attack is not None) + rng.normal(0, 0.5), 0.5, FRAMES)))
        for person in range(people)
        for attack in (None, "print", "screen")
    ]


def shares(recordings: list[FaceRecording], rule: rules.AnyRule) -> tuple[float, float]:
    """APCER of the worst species, and BPCER, counted one by one."""
    wrong: dict[str | None, list[bool]] = {None: [], "print": [], "screen": []}
    for one in recordings:
        at = placed(rule, THRESHOLD)
        wrong[one.attack].append(is_error(one.frames, at, LIMITS, attack=one.attack is not None))
    return max(np.mean(wrong["print"]), np.mean(wrong["screen"])), float(np.mean(wrong[None]))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few enough rules to try them all."""
    monkeypatch.setattr(rules, "WINDOWS", (4, 8))
    monkeypatch.setattr(rules, "SHARES", (0.5, 0.8))
    monkeypatch.setattr(rules, "REACHES", (1.0,))
    monkeypatch.setattr(rules, "RATES", (0.05,))
    monkeypatch.setattr(rules, "MARGINS", MARGINS)


@pytest.mark.usefixtures("few")
def test_no_rule_of_all_refuses_fewer_people() -> None:
    recordings, target = drawn(apart=1.2), 0.1
    found = rules.tune(recordings, THRESHOLD, LIMITS, apcer=target)
    scores = np.array([frame.score for one in recordings for frame in one.frames], float) - THRESHOLD
    spread = float(np.median([np.std([f.score for f in one.frames]) for one in recordings if one.attack is None]))  # type: ignore[arg-type]
    tried = [shares(recordings, shape(float(m))) for shape in rules.shapes(spread) for m in rules.margins(scores)]
    best = min(bpcer for apcer, bpcer in tried if apcer <= target)
    apcer, bpcer = shares(recordings, found.rule)
    assert (apcer, bpcer) == (found.errors.apcer.value, found.errors.bpcer.value)
    assert apcer <= target
    assert bpcer == best
    assert 0 < best < 1, "these recordings overlap"


@pytest.mark.usefixtures("few")
def test_a_species_may_pass_as_it_did_before_and_no_more() -> None:
    """Screens as live as people, of which all pass, take nothing away from what prints cost."""
    recordings = [one for one in drawn(apart=1.2) if one.attack != "screen"]
    prints = rules.tune(recordings, THRESHOLD, LIMITS, apcer=0.1)
    recordings += [recording(p, "screen", [2.0] * FRAMES) for p in range(20)]
    alone = rules.tune(recordings, THRESHOLD, LIMITS, apcer=0.1)
    before = rules.tune(recordings, THRESHOLD, LIMITS, apcer=0.1, before=KOfN(THRESHOLD, live=3, spoof=2, window=4))
    assert alone.errors.bpcer.value > prints.errors.bpcer.value
    assert before.errors.bpcer.value <= prints.errors.bpcer.value
    assert before.errors.species["screen (made)"].value == 1
    counted = rules.errors(recordings, KOfN(THRESHOLD, live=3, spoof=2, window=4), LIMITS, replicates=2)
    assert before.errors.species["print (made)"].value <= max(0.1, counted.species["print (made)"].value)


def test_margins_lie_among_the_scores_and_across_gaps() -> None:
    found = rules.margins(np.array([0.0] * 50 + [1.0] * 50))
    assert (found[0], found[-1]) == (0, 1)
    assert np.diff(found).max() == pytest.approx(1 / (rules.MARGINS - 1))
    assert rules.margins(np.linspace(0, 1, 10_001)).size >= rules.MARGINS


@pytest.mark.usefixtures("few")
def test_a_target_that_costs_nothing_leaves_a_margin_on_both_sides() -> None:
    """Between attacks at -9 and people at 1, the rule's bound is neither's."""
    recordings = [recording(p, a, [-9.0 if a else 1.0] * FRAMES) for p in range(30) for a in (None, "print", "screen")]
    recordings += [recording(p, None, list(np.linspace(-8, 1, FRAMES)), "other") for p in range(5)]
    found = rules.tune(recordings, THRESHOLD, LIMITS, apcer=0.02)
    assert (found.errors.apcer.value, found.errors.bpcer.value) == (0, 0)
    assert set(found.errors.species) == {"print (made)", "screen (made)"}


def test_shapes_are_rules_that_a_manifest_takes() -> None:
    found = [shape(0.25) for shape in rules.shapes(0.7)]
    assert len({repr(rule) for rule in found}) == len(found) > 100
    assert {rule.margin for rule in found if isinstance(rule, KOfNRule)} == {0.25}
    for rule in found:
        if not isinstance(rule, KOfNRule):
            assert rule.slope * 0.25 + rule.offset == pytest.approx(0), "at its margin a score says nothing"
            test = placed(rule, 0.0)
            assert isinstance(test, SequentialTest)
            assert test.upper / test.limit <= 20, "frames that LIVE takes at least"


def test_errors_are_counted_by_species_and_data_set() -> None:
    """LIVE after a SPOOF: an attack got in, and a person had been refused."""
    late = [0.0] * 4 + [1.0] * 12
    limits = Limits(cooldown_s=0.05)
    recordings = [
        recording(0, "print", late), recording(1, "print", [0.0] * 16), recording(0, "print", late, "other"),
        recording(0, None, late), recording(1, None, [1.0] * 16), recording(2, None, [1.0] * 3),
    ]  # fmt: skip
    found = rules.errors(recordings, KOfN(THRESHOLD), limits, replicates=10)
    assert {kind: (rate.errors, rate.trials) for kind, rate in found.species.items()} == {
        "print (made)": (1, 2), "print (other)": (1, 1),
    }  # fmt: skip
    assert (found.bpcer.errors, found.bpcer.trials) == (2, 3), "one is SPOOF first, one undecided"
    assert found.apcer.value == 1.0


@pytest.mark.parametrize(
    ("people", "attacked", "message"),
    [(4, 30, "4 live people"), (30, 4, "4 whose attacks"), (30, 20, "20 recordings of attacks.*needs 50")],
)
def test_too_few_recordings_are_refused(people: int, attacked: int, message: str) -> None:
    live = [recording(p, None, [1.0] * FRAMES) for p in range(people)]
    attacks = [recording(p, "print", [0.0] * FRAMES) for p in range(attacked)]
    with pytest.raises(DatasetError, match=message):
        rules.tune(live + attacks, THRESHOLD, LIMITS, apcer=0.02)


@pytest.mark.usefixtures("few")
def test_scores_that_part_nobody_are_refused() -> None:
    recordings = [recording(p, a, [1.0 if a else 0.0] * FRAMES) for p in range(60) for a in (None, "print")]
    with pytest.raises(ScoreError, match="refuses all live people"):
        rules.tune(recordings, THRESHOLD, LIMITS, apcer=0.02)
    nothing = [recording(p, a, [float("nan")] * FRAMES) for p, a in itertools.product(range(60), (None, "print"))]
    with pytest.raises(ScoreError, match="no frame"):
        rules.tune(nothing, THRESHOLD, LIMITS, apcer=0.02)

"""The decision over time: what each rule counts, and that nothing but enough sound frames of one face is LIVE."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_sdk.errors import UsageError
from edge_sdk.manifest import KOfNRule, SequentialRule
from edge_sdk.results import SpoofDecision, StreamDecision
from edge_sdk.runtime.temporal import KOfN, Limits, Observation, SequentialTest, TemporalDecision, rule_of

from ..manifest.test_manifest import SPOOF_HEAD
from ..manifest.test_over_time import over_time

LIVE, SPOOF, UNCERTAIN, NO_FACE = SpoofDecision
RULE = KOfN(threshold=0.5, live=3, spoof=2, window=4)
LIMITS = Limits(gap_s=1.0, cooldown_s=2.0, deadline_s=3.0)
STEP = 0.125  # a binary fraction, so that times add up exactly
TEST = SequentialTest(slope=1.0, offset=0.0, apcer=0.01, bpcer=0.05, limit=1.5)


def face(time: float, score: float | None = 1.0, track: int = 1, **changes: object) -> Observation:
    return Observation(time=time, track=track, score=score, **changes)  # type: ignore[arg-type]


def verdicts(observations: list[Observation], rule: KOfN | SequentialTest = RULE) -> list[StreamDecision]:
    decision = TemporalDecision(rule, LIMITS)
    return [decision.update(seen) for seen in observations]


def run(scores: list[float], rule: KOfN | SequentialTest = RULE, step: float = STEP) -> list[SpoofDecision]:
    return [v.decision for v in verdicts([face(i * step, score) for i, score in enumerate(scores)], rule)]


# --- rules ---


def test_k_of_n_decides_as_soon_as_it_can() -> None:
    assert run([1, 1, 1, 1]) == [UNCERTAIN, UNCERTAIN, LIVE, LIVE]
    assert run([1, 0, 1, 1]) == [UNCERTAIN, UNCERTAIN, UNCERTAIN, LIVE]
    assert run([0, 1, 0]) == [UNCERTAIN, UNCERTAIN, SPOOF]
    assert run([0.5, 0.5, 0.5])[-1] is LIVE, "a score at the threshold is live"


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_k_of_n_is_a_count_of_the_last_n(votes: list[bool], live: int, spoof: int, window: int) -> None:
    if max(live, spoof) > window or live + spoof <= window:
        with pytest.raises(UsageError):
            KOfN(threshold=0.5, live=live, spoof=spoof, window=window)
        return
    evidence = KOfN(threshold=0.5, live=live, spoof=spoof, window=window).start()
    for end, vote in enumerate(votes, start=1):
        last = votes[max(0, end - window) : end]
        expected = LIVE if last.count(True) >= live else SPOOF if last.count(False) >= spoof else UNCERTAIN
        assert evidence.add(float(vote)) is expected


def test_the_sequential_test_is_a_sum_between_two_boundaries() -> None:
    assert TEST.upper == pytest.approx(math.log(0.95 / 0.01))
    assert TEST.lower == pytest.approx(math.log(0.05 / 0.99))
    # 4 frames of at most 1.5 are needed to reach 4.554, 2 to fall to -2.986, whatever the scores.
    assert run([100.0] * 4, TEST) == [UNCERTAIN] * 3 + [LIVE]
    assert run([-1e300] * 2, TEST) == [UNCERTAIN, SPOOF]
    assert run([1.0, -1.0] * 5, TEST) == [UNCERTAIN] * 10


def test_live_stands_while_what_follows_speaks_for_it() -> None:
    assert run([2.0] * 4 + [0.5, -0.4, -0.2, 2.0], TEST)[3:] == [LIVE, LIVE, LIVE, UNCERTAIN, UNCERTAIN]


@given(st.lists(st.floats(-3, 3), max_size=40))
def test_the_sequential_test_against_a_loop(scores: list[float]) -> None:
    evidence = TEST.start()
    since, standing = 0.0, False
    for score in scores:
        since += max(-1.5, min(1.5, score))
        expected = UNCERTAIN
        if since >= TEST.upper:
            since, standing = 0.0, True
        if since <= TEST.lower:
            since, standing, expected = 0.0, False, SPOOF
        standing = standing and since >= 0
        assert evidence.add(score) is (LIVE if standing else expected)


def test_error_rates_are_within_walds_bounds() -> None:
    """Scores N(1, 1) of live faces and N(-1, 1) of attacks: the log-likelihood ratio is exactly 2 score."""
    rule = SequentialTest(slope=2.0, offset=0.0, apcer=0.05, bpcer=0.1, limit=2.0)
    rng = np.random.default_rng(0)
    trials = 4000

    def ends(mean: float) -> list[SpoofDecision]:
        found = []
        for _ in range(trials):
            evidence = rule.start()
            decisions = (evidence.add(score) for score in iter(lambda: float(rng.normal(mean, 1)), None))
            found.append(next(d for d in decisions if d is not UNCERTAIN))
        return found

    assert ends(-1.0).count(LIVE) / trials <= 0.05 / 0.9
    assert ends(1.0).count(SPOOF) / trials <= 0.1 / 0.95


@pytest.mark.parametrize(
    "settings",
    [
        {"slope": 0.0}, {"slope": -1.0}, {"slope": math.inf}, {"offset": math.nan}, {"apcer": 0.0}, {"bpcer": 0.5},
        {"limit": 0.0}, {"limit": 3.0}, {"limit": math.nan},
    ],
)  # fmt: skip
def test_impossible_tests_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        dataclasses.replace(TEST, **settings)


@pytest.mark.parametrize("name", ["gap_s", "cooldown_s", "deadline_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, 86_401.0, math.inf, math.nan])
def test_limits_are_positive_and_a_day_at_most(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Limits(**{name: value})
    with pytest.raises(UsageError, match="threshold"):
        KOfN(threshold=math.nan)


# --- the clock, the track, the frames that do not count ---


def test_spoof_stands_for_its_cooldown_whoever_comes() -> None:
    # SPOOF at 0.125; until 2.125 another face, and nobody, and a broken frame
    seen = [face(0, 0), face(STEP, 0), face(1, 1, track=2), Observation(1.5), Observation(2, flags=("corrupt",))]
    seen += [face(2.125 + i * STEP, 1, track=3) for i in range(3)]
    found = verdicts(seen)
    assert [v.decision for v in found] == [UNCERTAIN, SPOOF, SPOOF, NO_FACE, SPOOF, UNCERTAIN, UNCERTAIN, LIVE]
    assert found[2].reasons == ("cooldown", "track_lost")
    assert found[3].reasons == ("cooldown", "no_face")
    assert found[4].reasons == ("cooldown", "corrupt")


def test_a_face_missed_during_a_cooldown_is_not_lost() -> None:
    faces = [face(STEP * i, 0) for i in range(14)]
    found = verdicts([*faces, Observation(14 * STEP), face(15 * STEP)])
    assert found[-2] == StreamDecision(NO_FACE, ("cooldown", "no_face"))
    assert found[-1] == StreamDecision(SPOOF, ("cooldown",))


def test_a_jump_does_not_end_a_cooldown() -> None:
    found = verdicts([face(0, 0), face(STEP, 0), face(1000), face(1001), face(1001.5), face(1002)])
    assert [v.decision for v in found] == [UNCERTAIN, SPOOF, SPOOF, SPOOF, SPOOF, UNCERTAIN]
    assert found[2].reasons[:2] == ("cooldown", "time_jump")


def test_another_face_starts_anew() -> None:
    found = verdicts([face(0), face(STEP), face(2 * STEP, track=2), face(3 * STEP, track=2), face(4 * STEP, track=2)])
    assert [v.decision for v in found] == [UNCERTAIN] * 4 + [LIVE]
    assert found[2].reasons == ("undecided", "track_lost")


def test_a_face_may_be_missed_for_a_moment_only() -> None:
    start = [face(0), face(STEP)]
    assert verdicts([*start, Observation(0.5), face(1)])[-1].decision is LIVE
    away = [Observation(0.5), Observation(1.25)]
    found = verdicts([*start, *away, face(1.5)])
    assert [v.decision for v in found[2:]] == [NO_FACE, NO_FACE, UNCERTAIN]
    assert found[3].reasons == ("no_face", "track_lost")


@pytest.mark.parametrize("time", [0.0, -5.0, 100.0, math.nan, math.inf])
def test_a_clock_that_jumps_forgets_everything(time: float) -> None:
    seen = [face(STEP), face(2 * STEP), face(3 * STEP), face(time)]
    found = verdicts(seen)
    assert found[2].decision is LIVE
    assert found[3] == StreamDecision(UNCERTAIN, ("time_jump",))
    after = time if math.isfinite(time) else 0.0
    again = verdicts(seen + [face(after + i * STEP) for i in range(1, 4)])
    assert [v.decision for v in again[4:]] == [UNCERTAIN, UNCERTAIN, LIVE]


def test_a_frame_of_the_same_time_does_not_count() -> None:
    found = verdicts([face(0), face(STEP), face(STEP), face(STEP), face(2 * STEP)])
    assert [v.decision for v in found] == [UNCERTAIN] * 4 + [LIVE]
    assert found[2].reasons == ("stale",)


@pytest.mark.parametrize("flag", ["corrupt", "frozen", "several_faces", "anything"])
def test_a_flagged_frame_does_not_count_and_is_not_live(flag: str) -> None:
    found = verdicts(
        [face(0), face(STEP), face(2 * STEP, flags=(flag,)), face(3 * STEP), face(4 * STEP, flags=(flag,))]
    )
    assert [v.decision for v in found] == [UNCERTAIN] * 3 + [LIVE, UNCERTAIN]
    assert found[2].reasons == found[4].reasons == (flag,)


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_a_missing_score_is_not_live(score: float | None) -> None:
    found = verdicts([face(i * STEP) for i in range(3)] + [face(3 * STEP, score)])
    assert found[-1] == StreamDecision(UNCERTAIN, ("no_score",))


def test_old_scores_are_forgotten_while_frames_are_unusable() -> None:
    dark = [Observation(i * 0.5, flags=("too_dark",)) for i in range(1, 4)]
    found = verdicts([face(0), face(STEP), *dark, face(1.5 + STEP)])
    assert found[-1].decision is UNCERTAIN


def test_a_face_without_a_decision_meets_the_deadline() -> None:
    found = verdicts([Observation(i * 0.5, flags=("too_dark",)) for i in range(10)])
    assert [v.reasons[-1] == "deadline" for v in found] == [i == 6 for i in range(10)]
    assert {v.decision for v in found} == {UNCERTAIN}
    undecided = verdicts([face(i * 0.5, i % 2) for i in range(7)], KOfN(threshold=0.5, live=4, spoof=4, window=4))
    assert undecided[-1] == StreamDecision(UNCERTAIN, ("undecided", "deadline"))


def test_nobody_has_no_deadline() -> None:
    found = verdicts([Observation(i * 0.5) for i in range(20)] + [face(10)])
    assert set(found[:-1]) == {StreamDecision(NO_FACE, ("no_face",))}
    assert found[-1] == StreamDecision(UNCERTAIN, ("undecided",))


def test_a_decision_restarts_the_deadline() -> None:
    scores = [1.0] * 40
    found = verdicts([face(i * 0.5, score) for i, score in enumerate(scores)])
    assert {v.decision for v in found[2:]} == {LIVE}


steps = st.sampled_from([0.0, STEP, STEP, STEP, STEP, 0.5, 1.0, 1.5, -1.0, math.nan])
tracks = st.sampled_from([1, 1, 1, 1, 2, None])
scores = st.sampled_from([0.0, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, None, math.nan])
flags = st.sampled_from([(), (), (), (), (), ("corrupt",), ("frozen",)])


@st.composite
def streams(draw: st.DrawFn) -> list[Observation]:
    time, seen = 0.0, []
    for step, track, score, flag in draw(st.lists(st.tuples(steps, tracks, scores, flags), max_size=60)):
        time = time + step if math.isfinite(step) else time
        seen.append(Observation(time if math.isfinite(step) else step, track, score, flag))
    return seen


def counts(before: Observation | None, seen: Observation) -> bool:
    """Whether a frame is sound: a face, a finite score, no flag, and time moving on by no more than the gap."""
    scored = seen.track is not None and seen.score is not None and math.isfinite(seen.score) and not seen.flags
    if before is None or not math.isfinite(before.time):  # the clock starts with this frame
        return scored and math.isfinite(seen.time)
    return scored and 0 < seen.time - before.time <= LIMITS.gap_s


@given(streams())
def test_live_needs_enough_sound_frames_of_one_face(seen: list[Observation]) -> None:
    """Whatever comes: going back from a LIVE frame through its track, three sound live scores in the last four."""
    found = verdicts(seen)
    for end in (i for i, v in enumerate(found) if v.decision is LIVE):
        assert found[end].reasons == ("evidence",)
        window: list[float] = []
        for i in range(end, -1, -1):
            if seen[i].track not in (None, seen[end].track) or found[i].decision is SPOOF:
                break
            if counts(seen[i - 1] if i else None, seen[i]):
                window.append(seen[i].score or 0.0)
            if "time_jump" in found[i].reasons:
                break
        assert counts(seen[end - 1] if end else None, seen[end])
        assert sum(score >= RULE.threshold for score in window[: RULE.window]) >= RULE.live


@given(streams())
def test_every_frame_has_a_reason_and_spoof_its_cooldown(seen: list[Observation]) -> None:
    found = verdicts(seen)
    assert all(v.reasons and bool(v) is (v.decision is LIVE) for v in found)
    for i, v in enumerate(found):
        if v.decision is not SPOOF or v.reasons != ("evidence",):
            continue
        watched = 0.0
        for j in range(i + 1, len(found)):
            step = seen[j].time - seen[j - 1].time
            watched += step if 0 <= step <= LIMITS.gap_s else 0.0
            if watched >= LIMITS.cooldown_s:
                break
            assert found[j].decision in (SPOOF, NO_FACE)
            assert found[j].reasons[0] == "cooldown"


@given(streams(), st.sampled_from([0.25, 1.0, 3.0]))
def test_an_attempt_ends_by_the_deadline(seen: list[Observation], deadline: float) -> None:
    """Whatever comes: a frame so long after the last answer decides, shows nobody, or says ``deadline``."""
    decision = TemporalDecision(RULE, dataclasses.replace(LIMITS, deadline_s=deadline))
    waited, track, before = 0.0, None, math.nan
    for one in seen:
        found = decision.update(one)
        if "time_jump" in found.reasons:
            waited, track = 0.0, None
        elif math.isfinite(before):
            waited += one.time - before
        if one.track not in (None, track):
            waited, track = 0.0, one.track
        if found.decision is UNCERTAIN:
            assert waited < deadline or "deadline" in found.reasons
        elif found.decision is NO_FACE and "track_lost" in found.reasons:
            track = None
        if found.decision is not UNCERTAIN or "deadline" in found.reasons:
            waited = 0.0
        before = one.time


@given(streams(), st.sampled_from([-64.0, 1024.0]))
def test_only_differences_of_time_matter(seen: list[Observation], shift: float) -> None:
    assert verdicts([dataclasses.replace(one, time=one.time + shift) for one in seen]) == verdicts(seen)


def test_sequences_of_votes_against_the_rule_alone() -> None:
    """On sound frames of one face, up to the first SPOOF, the decision is the rule's."""
    for votes in itertools.product([0.0, 1.0], repeat=7):
        evidence = RULE.start()
        expected = [evidence.add(vote) for vote in votes]
        end = expected.index(SPOOF) + 1 if SPOOF in expected else len(votes)
        assert run(list(votes))[:end] == expected[:end]


@pytest.mark.parametrize(
    ("rule", "still", "all_live"),
    [
        (KOfNRule(live=7, spoof=4, window=10, margin=-0.3), 0.31, 0.3),
        (SequentialRule(slope=5.0, offset=1.0, apcer=0.01, bpcer=0.05, limit=1.5), 0.21, 0.2),
    ],
)
def test_a_rule_for_another_threshold_that_calls_every_probability_live_is_refused(
    rule: KOfNRule | SequentialRule, still: float, all_live: float
) -> None:
    """Tuned at 0.6, it is used at a lower point: 0.3 - 0.3 = 0, and 5 * (0 - 0.2) + 1 = 0."""
    manifest = replace(SPOOF_HEAD, over_time=over_time(rule))
    assert rule_of(manifest, still)
    with pytest.raises(UsageError, match="the bundle's rule accepts everything"):
        rule_of(manifest, all_live)

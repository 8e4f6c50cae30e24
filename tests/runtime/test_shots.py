"""Best-shot selection: which frames count, what their scores add up to, and what happens if none can be used."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import Shots, Verifier, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import ImageNotFoundError, UnusableSampleError, UsageError, VideoDecodeError
from edge_sdk.modalities import Prepared

from .drawn import frame
from .filmed import film, spoil

Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


def picture(level: int) -> np.ndarray:
    """The stand-in for a frame: its level is its quality in percent."""
    return np.full((4, 4), level, np.uint8)


def prepare(image: np.ndarray) -> Prepared:
    level = int(image[0, 0])
    flags = {1: ("too_small",), 2: ("no_face",), 3: ("turned_away",)}.get(level, ())
    blocking, warns = (flags, ()) if level < 3 else ((), flags)
    return Prepared(np.full(1, level, np.float32), flags, blocking, warns, quality=level / 100)


def levels(found: list[Prepared]) -> list[int]:
    return [int(one.tensor[0]) for one in found]


def test_the_best_frames_count_and_equals_keep_their_order() -> None:
    frames = [picture(level) for level in (40, 70, 1, 90, 70, 20)]
    assert levels(Shots(frames).select(prepare)) == [90, 70, 70]
    assert levels(Shots(frames, best=1).select(prepare)) == [90]
    assert levels(Shots(frames, best=9).select(prepare)) == [90, 70, 70, 40, 20]
    first, second, third = (Prepared(np.full(1, i, np.float32)) for i in range(3))
    given = iter((first, second, third))
    assert Shots(frames[:3], best=2).select(lambda _: next(given)) == [first, second]


def test_if_no_frame_is_usable_one_is_given_that_is_blocked_with_the_flags_of_all() -> None:
    (one,) = Shots([picture(1), None, picture(2), picture(1)]).select(prepare)
    assert one.flags == one.blocking == ("too_small", "corrupt", "no_face")
    assert one.tensor.size == 0
    assert Shots([]).select(prepare) == []


def test_what_must_not_be_enrolled_is_left_out_of_an_enrolment() -> None:
    frames = [picture(3), picture(2), picture(50)]
    assert levels(Shots(frames).select(prepare)) == [50, 3]
    assert levels(Shots(frames).select(prepare, enrolling=True)) == [50]
    (one,) = Shots(frames[:2]).select(prepare, enrolling=True)
    assert one.blocking == ("turned_away", "no_face")


def test_damaged_frames_are_passed_over() -> None:
    assert levels(Shots([None, b"no picture", picture(30)]).select(prepare)) == [30]


def test_frames_with_a_time_are_looked_at_some_time_apart() -> None:
    stamped = [(0.1 * i, picture(10 + i)) for i in range(10)]
    assert levels(Shots(stamped, best=9, gap_s=0.25).select(prepare)) == [19, 16, 13, 10]
    assert len(Shots(stamped, best=50, gap_s=0).select(prepare)) == 10
    assert len(Shots([one for _, one in stamped], best=50, gap_s=9).select(prepare)) == 10, "without a time: all"
    backwards = [(5.0, picture(10)), (1.0, picture(20)), (1.1, picture(30))]
    assert levels(Shots(backwards).select(prepare)) == [20, 10]


def test_a_camera_that_never_ends_is_looked_at_for_a_while() -> None:
    def camera() -> Iterator[tuple[float, np.ndarray]]:
        for i in itertools.count():
            yield i * 1.0, picture(4 + i)

    assert levels(Shots(camera(), most=20).select(prepare)) == [23, 22, 21]


@pytest.mark.parametrize(
    "settings",
    [
        {"best": 0},
        {"best": 3, "most": 2},
        {"best": 2.5},
        {"most": 9.5},
        {"most": float("inf")},
        {"best": "3"},
        {"gap_s": -1.0},
        {"gap_s": float("nan")},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="best is"):
        Shots([], **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9), np.uint8), b"...", 7, {1: 2}], ids=["array", "bytes", "int", "dict"]
)
def test_what_gives_no_frames_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="frames"):
        Shots(wrong).select(prepare)  # type: ignore[arg-type]


# --- through the verifier ---


@pytest.fixture(scope="module")
def faces(make_bundle: Maker) -> Bundle:
    tone = (preprocess.ToGray(), preprocess.Resize(height=150, width=180, interpolation="area"))
    return make_bundle(modality="face", preprocessing=tone)


def test_the_score_of_several_frames_is_the_mean_of_theirs(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        template = verifier.enroll(signer(1))
        each = [verifier.verify(template, signer(seed)) for seed in (2, 3, 4)]
        frames = [signer(seed) for seed in (2, 3, 4)]
        for query in (frames, tuple(frames), Shots(frames), Shots(iter(frames))):
            result = verifier.verify(template, query)
            assert result.score == pytest.approx(np.mean([one.score for one in each]), abs=1e-8)
            assert result.raw_score == pytest.approx(np.mean([one.raw_score for one in each]), abs=1e-8)
        identified = verifier.identify(Shots(frames), {"one": template})
        assert identified.score == result.score
        assert verifier.verify(template, [frames[0]]).score == each[0].score
        assert verifier.verify(Shots([signer(1)]), Shots([signer(2)])).score == each[0].score


def test_frames_as_references_and_to_enroll(tiny_bundle: Bundle, signer: Signer) -> None:
    white = np.full((380, 600), 255, np.uint8)
    frames = [signer(1), white, signer(2), signer(3), signer(4)]
    with Verifier(tiny_bundle) as verifier:
        template = verifier.enroll(Shots(frames))
        assert template.count == 3
        result = verifier.verify(Shots(frames), signer(5))
        assert result.quality == (), "a frame that is passed over raises no flag"
        assert result.score == verifier.verify(template, signer(5)).score
        assert result.score == verifier.verify([signer(1), signer(2), signer(3)], signer(5)).score
        with pytest.raises(UnusableSampleError, match="reference 1 of 1: empty"):
            verifier.enroll(Shots([white, white]))


def test_without_a_usable_frame_nothing_is_accepted(tiny_bundle: Bundle, signer: Signer) -> None:
    white = np.full((380, 600), 255, np.uint8)
    with Verifier(tiny_bundle, threshold=1e-9) as verifier:  # accepts every score there is
        template = verifier.enroll(signer(1))
        for query in ([white, None, white], Shots([white, None]), [None]):
            result = verifier.verify(template, query)  # type: ignore[arg-type]
            assert (result.decision, result.score, result.raw_score) == (False, 0.0, 2.0)
            assert result.quality
        assert "corrupt" in result.quality
        for call in (lambda: verifier.verify(template, []), lambda: verifier.verify(template, Shots([]))):
            with pytest.raises(UnusableSampleError, match="no picture"):
                call()


def test_two_videos(faces: Bundle, tmp_path: Path) -> None:
    pictures = [frame((200, 100, 200), seed=seed) for seed in range(8)]
    first, second = film(tmp_path / "first.avi", pictures), film(tmp_path / "second.avi", pictures[::-1])
    spoil(second, 1)
    with Verifier(faces) as verifier:
        result = verifier.verify(Shots(first), Shots(str(second)))
        assert result.score > 0.99
        assert verifier.enroll(Shots(first, best=2)).count == 2
        with pytest.raises(ImageNotFoundError):
            verifier.verify(Shots(tmp_path / "none.avi"), Shots(first))
        (tmp_path / "text.avi").write_text("no video")
        with pytest.raises(VideoDecodeError):
            verifier.verify(Shots(first), Shots(tmp_path / "text.avi"))

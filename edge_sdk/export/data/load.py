"""Load data sets by a short specification.

>>> data = load("synthetic:4")
>>> len(data.subjects), len(data.samples)
(4, 80)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.export.data.samples import Dataset, Report, Sample, joined, unreported

if TYPE_CHECKING:
    from edge_sdk.export.data.cache import Count

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.faces.layouts import FACES
from edge_sdk.export.data.layouts import Entry, images
from edge_sdk.export.data.signatures.layouts import LAYOUTS

KINDS = frozenset({*LAYOUTS, *FACES, "synthetic"})


OWN = frozenset({"folder", "live", "spoof"})


RENDERINGS = ("photo", "print", "screen", "camera")


CROP = "crop"


def load(*specs: str, progress: Report = unreported) -> Dataset:
    """Load one data set, or several into one.

    Args:
        specs: each a set of signatures: ``cedar:PATH``, ``sigcomp2011:PATH``, ``svc2004:PATH``, ``bhsig260:PATH``,
            ``folder:PATH`` (``PATH/WRITER/{genuine,forged}/*``), ``synthetic:N`` or ``synthetic:N@SEED`` (N writers,
            drawn once into the user's cache folder). With ``photo+`` in front, photographs of these scans
            (:mod:`edge_sdk.export.data.signatures.photographs`), of the same persons.
            Or a set of faces: ``nuaa:PATH``; its official lists, ``nuaa-train:PATH`` and ``nuaa-test:PATH``; the test
            list without the people of the training list, ``nuaa-test-new:PATH``; live faces alone, ``lfw:PATH``,
            ``cfp:PATH``, ``cfp-frontal:PATH``, ``live:PATH`` (``PATH/PERSON/*``); and ``spoof:PATH``
            (``PATH/live/PERSON/*``, ``PATH/attack-TYPE/PERSON/*``). In ``live`` and ``spoof`` a person may have a
            folder for each recording, and ``PATH`` a file of head poses
            (:data:`edge_sdk.export.data.faces.layouts.POSES`). With ``print+`` or ``screen+`` in front, attacks made of
            the live faces, and with ``camera+`` live faces before the same camera
            (:mod:`edge_sdk.export.data.faces.recapture`), of the same persons. ``crop+`` before all of these cuts the
            faces out as a device does (:mod:`edge_sdk.export.data.faces.crops`): ``crop+cfp:PATH``,
            ``crop+print+cfp:PATH``.
        progress: told of data sets that are rendered or drawn, such as
            :meth:`edge_sdk.export.training.progress.Progress.report`.

    Raises:
        DatasetError: a folder is missing, empty or half-complete, or two specifications hold the same person.
        UsageError: a specification cannot be read.
    """
    if not specs:
        raise UsageError("no data set given")
    return joined(*(_load_one(spec, progress) for spec in specs))


def load_unlabeled(*specs: str, progress: Report = unreported) -> Dataset:
    """Load pictures to learn from without labels.

    Args:
        specs: each as for :func:`load`, or any folder: every picture below it is taken, of nobody knows whom (subject
            ``FOLDER/unknown``).
        progress: as for :func:`load`.

    Raises:
        DatasetError: a folder is missing, or there is no picture in it.
        UsageError: a specification cannot be read.
    """
    parts = [
        _load_one(spec, progress) if original(spec.partition(":")[0]) in KINDS else _load_pictures(Path(spec))
        for spec in specs
    ]
    return Dataset("+".join(part.name for part in parts), tuple(sample for part in parts for sample in part.samples))


def original(name: str) -> str:
    """The name of the data set that one was rendered of, or cut out of; its own if neither.

    >>> original("crop+print+lfw"), original("lfw")
    ('lfw', 'lfw')
    """
    return _prefixed(name)[2]


def before_rendering(name: str) -> str:
    """The name of the data set with the same pictures as they were: of its live faces, cut out alike.

    >>> before_rendering("crop+print+lfw"), before_rendering("print+lfw"), before_rendering("lfw")
    ('crop+lfw', 'lfw', 'lfw')
    """
    crop, _, source = _prefixed(name)
    return f"{crop}+{source}" if crop else source


def _prefixed(kind: str) -> tuple[str, str, str]:
    """:data:`CROP` or nothing, what is rendered (:data:`RENDERINGS`) or nothing, and what of."""
    crop = CROP if kind.startswith(CROP + "+") else ""
    kind = kind.removeprefix(CROP + "+")
    rendering = next((name for name in RENDERINGS if kind.startswith(name + "+")), "")
    return crop, rendering, kind.removeprefix(rendering + "+")


def _load_one(spec: str, progress: Report) -> Dataset:
    kind, _, rest = spec.partition(":")
    crop, rendering, kind = _prefixed(kind)
    known = rest and kind in KINDS
    if not known or (rendering and (kind in FACES) is (rendering == "photo")) or (crop and kind not in FACES):
        scans, faces = (", ".join(f"{name}:PATH" for name in kinds) for kinds in (LAYOUTS, FACES))
        raise UsageError(
            f'"{spec}" names no data set; expected {scans}, synthetic:N or synthetic:N@SEED, photo+ and one of these; '
            f"{faces}, print+, screen+ or camera+ and one of these, and crop+ before any of faces"
        )
    name, entries = _entries(kind, rest, partial(progress, f"drawing {kind}"))
    # Parts of NUAA are told apart when they are joined or named, but are one data set.
    dataset, shown = name, name if kind in OWN else kind
    if crop or rendering:
        prefix = "".join(f"{part}+" for part in (crop, rendering) if part)
        dataset, shown = prefix + dataset, prefix + shown
        entries = _rendered(rendering, entries, partial(progress, f"rendering {shown}"), crop=bool(crop))
    return Dataset(shown, tuple(_sample(dataset, name, entry) for entry in entries))


def _rendered(rendering: str, entries: list[Entry], progress: Count, *, crop: bool) -> list[Entry]:
    from edge_sdk.export.data.faces import crops, recapture
    from edge_sdk.export.data.signatures import photographs

    if rendering == "photo":
        return photographs.album(entries, progress)
    if crop:
        return crops.cropped(entries, rendering, progress)
    return recapture.recaptured(entries, rendering, progress)


def _entries(kind: str, rest: str, progress: Count) -> tuple[str, list[Entry]]:
    """The name that a data set's people carry, and its images."""
    if kind == "synthetic":
        from edge_sdk.export.data.signatures import synthetic

        return kind, synthetic.render(rest, progress)
    root = Path(rest).expanduser()
    entries = (FACES[kind] if kind in FACES else LAYOUTS[kind]).entries(root)
    # Users' folders are told apart by their names; the public sets have one name wherever they lie.
    return root.resolve().name if kind in OWN else kind.partition("-")[0], entries


def _sample(dataset: str, people: str, entry: Entry) -> Sample:
    return Sample(
        dataset, f"{people}/{entry.person}", entry.genuine, entry.path, entry.attack, entry.session, entry.pose
    )


def _load_pictures(root: Path) -> Dataset:
    root = root.expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected a folder of pictures, or a data set such as cedar:PATH")
    paths = sorted(images(root))
    if not paths:
        raise DatasetError(f"{root}: no pictures; expected png, jpg, bmp or tif files in it or below it")
    name = root.resolve().name
    return Dataset(name, tuple(Sample(name, f"{name}/unknown", genuine=True, path=path) for path in paths))

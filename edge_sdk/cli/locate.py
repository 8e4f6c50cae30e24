"""``edge-sdk locate``: where are the faces of a picture?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import (
    LOCATE_BUNDLE,
    add_bundle_option,
    add_engine,
    add_json,
    add_precision,
    add_threads,
    add_threshold,
    check_apart,
    print_result,
)
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.images import Image
    from edge_sdk.preprocess.crop import LocatedFace

SUMMARY = "Find the faces in a picture, and their eyes, noses and mouths."
DETAILS = (
    "Lists each face's box (left, top, width, height), confidence and five points in the picture's pixels, the largest "
    "face first. Exit code 0: there is a face, 1: there is none."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("picture", metavar="PICTURE", help="the picture to search")
    parser.add_argument(
        "--smallest",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="the longer side of the smallest face that counts, as a share of the picture's shorter side; default: 0.2",
    )
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="FILE",
        help="write the picture with boxes and points, as PNG or JPEG by the name's ending",
    )
    add_bundle_option(parser, LOCATE_BUNDLE)
    add_precision(parser)
    add_engine(parser)
    add_threads(parser)
    add_threshold(
        parser,
        "the bundle's threshold to use, such as false_1e-2 (`edge-sdk inspect` lists them); default: that of the "
        "fewest false boxes that still finds 9 in 10 faces",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search and print the faces."""
    from edge_sdk import files
    from edge_sdk.runtime.locator import Locator

    if arguments.draw:  # before anything is done
        form = _form(arguments.draw)
        check_apart(str(arguments.draw), the_picture_to_search=[arguments.picture])
        files.check_writable(arguments.draw)
    with Locator(
        arguments.bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        operating_point=arguments.operating_point,
        threshold=arguments.threshold,
        threads=arguments.threads,
        smallest=arguments.smallest,
    ) as locator:
        result = locator.find(arguments.picture)
    if arguments.draw:
        from edge_sdk import images

        files.write_bytes(arguments.draw, drawn(images.load(arguments.picture), result.faces, form))
    deciding = f"found from {result.threshold:.4f} ({result.operating_point}), highest confidence {result.score:.4f}"
    lines = [
        f"{_count(len(result.faces))}   {deciding}",
        *map(_line, result.faces),
        f"{result.bundle_id}, {locator.variant.id} on {locator.engine}, {result.timings.total_ms:.1f} ms",
    ]
    print_result(arguments, result.as_dict(), "\n".join(lines))
    return ACCEPTED if result else REJECTED


def drawn(picture: Image, faces: tuple[LocatedFace, ...], form: str = ".png") -> bytes:
    """The picture as a file of a form, ``.png`` or ``.jpg``: a frame round each face and a dot on each point."""
    import numpy as np

    from edge_sdk.opencv import cv2
    from edge_sdk.preprocess import ToColor

    shown = ToColor(order="bgr")(picture).copy()
    width = max(1, min(shown.shape[:2]) // 200)
    for face in faces:
        corner = face.left + face.width - 1, face.top + face.height - 1
        cv2.rectangle(shown, (face.left, face.top), corner, (0, 255, 0), width)
        for x, y in np.floor(np.clip(face.points, -1e6, 1e6)).astype(int).tolist():
            cv2.circle(shown, (x, y), width + 1, (0, 0, 255), -1)
    return cv2.imencode(form, shown)[1].tobytes()


def _form(path: Path) -> str:
    """What a name's ending says; PNG without one, as of a pipe."""
    forms = {"": ".png", ".png": ".png", ".jpg": ".jpg", ".jpeg": ".jpg"}
    if path.suffix.lower() not in forms:
        raise UsageError(f"--draw writes .png or .jpg, not {path.suffix}: {path}")
    return forms[path.suffix.lower()]


def _count(faces: int) -> str:
    return {0: "NO FACE", 1: "1 FACE"}.get(faces, f"{faces} FACES")


def _line(face: LocatedFace) -> str:
    points = " ".join(f"({x:.1f}, {y:.1f})" for x, y in face.points)
    return f"{face.left:5d} {face.top:5d} {face.width:5d} {face.height:5d}  {face.confidence:.4f}  {points}"

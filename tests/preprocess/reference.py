"""What the pipelines of signatures are, written for reading: the operations as they were before they were made fast.

``edge_sdk.preprocess`` must give the same pictures to the bit.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_sdk import preprocess
from edge_sdk.preprocess import Image


def apply(operations: tuple[preprocess.Operation, ...], image: Image) -> np.ndarray:
    """``float32 (1, H, W)``."""
    for step in operations:
        image = OPERATIONS[type(step)](step, image) if type(step) in OPERATIONS else step(image)
    return image[np.newaxis].astype(np.float32) / np.float32(255)


def resized(image: Image, height: int, width: int) -> Image:
    rows, columns = max(1, image.shape[0] // height), max(1, image.shape[1] // width)
    if (rows, columns) != (1, 1):
        image = image[: image.shape[0] // rows * rows, : image.shape[1] // columns * columns]
        while rows % 2 == columns % 2 == 0:
            image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            rows, columns = rows // 2, columns // 2
        size = image.shape[1] // columns, image.shape[0] // rows
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def limit_size(step: preprocess.LimitSize, image: Image) -> Image:
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= step.side:
        return image
    return resized(image, max(1, round(height * step.side / longer)), max(1, round(width * step.side / longer)))


def flatten_paper(step: preprocess.FlattenPaper, image: Image) -> Image:
    height, width = image.shape
    right, bottom = -width % step.shrink, -height % step.shrink
    whole = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    small = preprocess.block_means(whole, step.shrink, step.shrink)
    rows, columns = small.shape
    side = max(1, step.window // step.shrink) | 1
    outside = 3 * side // 4
    wider = cv2.copyMakeBorder(small, outside, outside, outside, outside, cv2.BORDER_REPLICATE)
    paper = cv2.morphologyEx(
        wider, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(255,)
    )
    paper = paper[outside : outside + rows, outside : outside + columns]
    paper = cv2.resize(paper, whole.shape[::-1], interpolation=cv2.INTER_LINEAR)[:height, :width]
    return cv2.divide(image, paper, scale=255)


def binarize(step: preprocess.Binarize, image: Image) -> Image:
    rows = image[:: max(1, image.shape[0] // step.ROWS)]
    darkness = 255 - rows[rows <= 255 - step.floor].astype(int)
    if darkness.size == 0:
        return np.zeros_like(image)
    counts = np.bincount(darkness, minlength=256).astype(np.float32)[step.floor :].cumsum()
    stroke = step.floor + int(np.searchsorted(counts, counts[-1] * step.percentile / 100))
    return np.where(image <= 255 - max(step.floor, round(step.fraction * stroke)), 255, 0).astype(np.uint8)


def clear_border(step: preprocess.ClearBorder, image: Image) -> Image:
    labels = cv2.connectedComponents(image, connectivity=8)[1]
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, touching[touching > 0])
    if np.count_nonzero(outside) >= step.share * np.count_nonzero(image):
        return image
    return np.where(outside, 0, image).astype(np.uint8)


def despeckle(step: preprocess.Despeckle, image: Image) -> Image:
    side = 2 * step.area - 1
    count = cv2.boxFilter(image & 1, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.where(count >= step.area, image, 0).astype(np.uint8)


def crop_to_ink(step: preprocess.CropToInk, image: Image) -> Image:
    def span(sums: np.ndarray) -> tuple[int, int]:
        ink = sums.cumsum()
        if ink[-1] == 0:
            return 0, 0
        tail = step.tail * ink[-1]
        first = np.searchsorted(ink, tail, side="right")
        return int(first), int(np.searchsorted(ink, ink[-1] - tail, side="left")) + 1

    (top, bottom), (left, right) = span(image.sum(axis=1, dtype=np.int64)), span(image.sum(axis=0, dtype=np.int64))
    if bottom <= top or right <= left:
        return image
    pad = round(step.margin * max(bottom - top, right - left))
    return image[max(0, top - pad) : bottom + pad, max(0, left - pad) : right + pad]


def fit(step: preprocess.Fit, image: Image) -> Image:
    height, width = image.shape[:2]
    scale_y, scale_x = step.height / height, step.width / width
    scale_y, scale_x = min(scale_y, scale_x * step.stretch), min(scale_x, scale_y * step.stretch)
    height = min(step.height, max(1, round(height * scale_y)))
    width = min(step.width, max(1, round(width * scale_x)))
    top, left = (step.height - height) // 2, (step.width - width) // 2
    frame = np.zeros((step.height, step.width, *image.shape[2:]), np.uint8)
    frame[top : top + height, left : left + width] = resized(image, height, width)
    return frame


def standardize(step: preprocess.Standardize, image: Image) -> Image:
    levels = np.arange(256.0)
    counts = np.bincount(image.ravel(), minlength=256)
    middle = counts @ levels / image.size
    spread = float(np.sqrt(counts @ (levels - middle) ** 2 / image.size))
    scaled = step.std * (levels - middle) / spread if spread else np.zeros(256)
    return np.rint(255 * (step.mean + scaled)).clip(0, 255).astype(np.uint8)[image]


OPERATIONS = {
    preprocess.LimitSize: limit_size,
    preprocess.FlattenPaper: flatten_paper,
    preprocess.Binarize: binarize,
    preprocess.ClearBorder: clear_border,
    preprocess.Despeckle: despeckle,
    preprocess.CropToInk: crop_to_ink,
    preprocess.Fit: fit,
    preprocess.Standardize: standardize,
}

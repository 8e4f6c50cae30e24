"""A session of ONNX Runtime with one thread, for libraries that have no setting for it."""

from __future__ import annotations

from typing import Any

import cv2
import onnxruntime

cv2.setNumThreads(1)


class OneThread(onnxruntime.InferenceSession):  # type: ignore[misc,unused-ignore]
    """A session on the processor, of one thread."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        options = settings.pop("sess_options", None) or onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        super().__init__(*arguments, sess_options=options, **settings)

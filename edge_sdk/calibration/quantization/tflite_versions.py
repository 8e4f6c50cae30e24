"""Does a TFLite file run on boards that were never updated? Operators and versions of tflite-runtime 2.14 (2023)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_sdk.calibration.quantization.tflite_graph import read, versions
from edge_sdk.errors import ConversionError

_HIGHEST = """
    ABS 5  ADD 5  ARG_MAX 3  ARG_MIN 3  AVERAGE_POOL_2D 3  BATCH_MATMUL 4  BATCH_TO_SPACE_ND 4  BROADCAST_TO 3  CAST 5
    CEIL 1  CONCATENATION 4  CONV_2D 7  CONV_3D 1  COS 1  CUMSUM 1  DEPTHWISE_CONV_2D 7  DEPTH_TO_SPACE 2  DEQUANTIZE 5
    DIV 2  ELU 1  EQUAL 4  EXP 2  EXPAND_DIMS 1  FILL 4  FLOOR 1  FLOOR_DIV 3  FLOOR_MOD 2  FULLY_CONNECTED 10  GATHER 6
    GATHER_ND 4  GELU 2  GREATER 2  GREATER_EQUAL 3  HARD_SWISH 1  L2_NORMALIZATION 2  LEAKY_RELU 2  LESS 3
    LESS_EQUAL 2  LOG 1  LOGICAL_AND 1  LOGICAL_NOT 1  LOGICAL_OR 1  LOGISTIC 3  LOG_SOFTMAX 2  MAXIMUM 4
    MAX_POOL_2D 3  MEAN 3  MINIMUM 4  MIRROR_PAD 3  MUL 7  NEG 1  NOT_EQUAL 3  ONE_HOT 1  PACK 4  PAD 4  PADV2 4  POW 1
    PRELU 1  QUANTIZE 3  RANGE 2  RANK 1  REDUCE_ALL 1  REDUCE_ANY 1  REDUCE_MAX 3  REDUCE_MIN 3  REDUCE_PROD 2  RELU 3
    RELU6 3  RELU_0_TO_1 1  RELU_N1_TO_1 1  RESHAPE 1  RESIZE_BILINEAR 4  RESIZE_NEAREST_NEIGHBOR 4  REVERSE_V2 3
    ROUND 1  RSQRT 2  SCATTER_ND 1  SELECT 4  SELECT_V2 2  SHAPE 1  SIGN 2  SIN 1  SLICE 6  SOFTMAX 3
    SPACE_TO_BATCH_ND 4  SPACE_TO_DEPTH 2  SPLIT 4  SPLIT_V 2  SQRT 1  SQUARE 1  SQUARED_DIFFERENCE 2  SQUEEZE 2
    STRIDED_SLICE 8  SUB 5  SUM 2  TANH 3  TILE 3  TOPK_V2 3  TRANSPOSE 6  TRANSPOSE_CONV 4  UNPACK 4  ZEROS_LIKE 1
"""
_WORDS = _HIGHEST.split()

HIGHEST: Mapping[str, int] = MappingProxyType(dict(zip(_WORDS[::2], map(int, _WORDS[1::2]), strict=True)))
"""Highest version of each operator that tflite-runtime 2.14.0 finds a kernel for, asked of the package itself."""


def require_old_boards(model: bytes) -> None:
    """Raise ConversionError, with a table, if tflite-runtime 2.14 would refuse the TFLite file."""
    newer = {
        kind: version for kind, version in versions(read(model, inputs=None)).items() if version > HIGHEST.get(kind, 0)
    }
    if newer:
        rows = "\n".join(
            f"{kind} {version}: " + (f"at most {HIGHEST[kind]}" if kind in HIGHEST else "unknown")
            for kind, version in sorted(newer.items())
        )
        raise ConversionError(f"tflite-runtime 2.14 does not have these operators, use others in the network\n{rows}")

"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "87d621b62ab7b05690034b38ed4a79223c416dc0da8f419f8943bd4dae3907d6",
    "deepsign_nano": "9536867cfe96decdc6076dade4cbf5cff63417425d565ada9a53dea9e69e422c",
    "ganomaly_lite": "294bba8cde0f66ecc0d7b8726cc2b18672a25a4bbbab790894a7ae985819c78d",
    "liveness": "e27cbb738df7217023dddaf0d05416ba072d7581766f714f28a4b6166f832d0b",
    "mobilenetv2": "b671832a388229c838b8024640c23be6452aecf00086ff356951d4a65898017f",
}

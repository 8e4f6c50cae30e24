"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "2634cac22a0d1e6c3f86f77ee6a7ee8da8525f83ec9439b30d9cc30cc33c1643",
    "deepsign_nano": "738261c90fe549c0b4dd961a7c07d56efaa72b734fd86410e1df361f863175de",
    "face_lite": "2491a61ee65ac938326b6b42fd131b629b00a4f20f37bc80545e16f53c843407",
    "face_locator": "88acbe01886703b6598a4a9fd70a0a6810b13f847946c29541b2b3f9afc01290",
    "gait": "5e34059e5c98d48afd23ff5ec25cc7a1d99e38005010d6d8ff90f1a36dd3a112",
    "gait_lite": "c098bac3124dc29ba0f7f47edde07c39a7f7fc86f64014a39f9c4950fda7bdb1",
    "ganomaly_lite": "830b72dd1e8f26e57511e15aa8b106803a88ed7fa39398ebd8650580b3523107",
    "liveness": "b34199d203834cedffb0c62940bb5312d1f5467d4184f6a8d6b3f4e55c2ebaf8",
    "mobilenetv2": "8823631fb9e2caac9a51a506c38502e7258bcba7aed888540ac389fc4bacd9c3",
}

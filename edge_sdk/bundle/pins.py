"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "66ef915fd8b5f00eca34e1ed70aa844c03f74f3af60fc287e0f45314e7008f0b",
    "deepsign_nano": "f8826e29b04a7dccffb3ca6340fd716191b949bedb08ca04e42305b8e74e87b1",
    "face_lite": "1638032caf9489fd96a7d74b253168fc8186929e21a5cff56978f54d94fbcb06",
    "face_locator": "9a4f47bdeb900c2bec7f70d7587caca720830c7770e065ec151a7d76aa81e866",
    "gait": "2002bf390e21e1311458c9513aed50ea6ce8fd3e31e1f95abd09b7722a930b28",
    "gait_lite": "6c3c5ab4b4f95118f1111d9043def5ff316ca168d2193e2c904655bc21b4932b",
    "ganomaly_lite": "6c75b223dddeac2af1a4254d16440069f3db68eb0a52c2bc48ee30047f3d69e7",
    "liveness": "7bd8690d03fe12274d6562f4fc165317bb7ce0816f338d38b3d7cf8c0907ade3",
    "mobilenetv2": "114e2f6462a307489616082d9c8264aa52aa61a9841a7044db5ca5ff5767a678",
}

"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "203022b4188767ba64fa6333d7cff1dedf42d8a7f2c89881ea931e2971572f39",
    "deepsign_nano": "5326dbf1f812aba5d9a5ae5ca31bb158a3fcea30c3d0af850da38d6c721272bd",
    "face_lite": "3b3794fcb8510c112c08e91b5b31b8085dff6317efe97e207a329f788d61240d",
    "face_locator": "8c4f5b25ad3fcaa2bc06f6b42436d34acd68166bc4129603a3cb41a7f9609135",
    "gait": "d2b064e3a79338bd8297a435b028bfccc8c837cd13b003aca2ec4ddcc46efbf5",
    "gait_lite": "c0996cc25368521117ae401b26e69d64f68e656789081c3103151cdc91109b9e",
    "ganomaly_lite": "4c17192bbd42ff68991bd6800822ab1fd9eeae523502032437132f9c4e7af2b1",
    "liveness": "b908f529813681109184a1b3469c03e3ef8097674937717b71ee4c4e9f6385d8",
    "mobilenetv2": "3903de2d26978fdd7426c7fb5438a7e65d2fbd27e000436ec55f143040ba835b",
}

"""Command lines that were documented before still mean something; a renamed one would be named in the CHANGELOG."""

from __future__ import annotations

import argparse

import pytest

from edge_sdk.cli import _parser

DOCUMENTED = """
verify reference.png query.png
verify first.png second.png query.png --bundle mine.edge --precision fp32 --engine onnxruntime --threads 2 --json
verify person.template query.png --operating-point fmr_1e-2
enroll first.png second.png -o person.template
enroll first.png --output person.template --bundle mine.edge
spoof picture.png folder driver.mkv
spoof --bundle live.edge driver.mkv
spoof --camera 0 --seconds 10 --frames 100 --deadline 5 --cooldown 3 --gap 1 --json
spoof folder --fps 20 --votes 7 4 10 --faces cropped --operating-point apcer_5e-2
spoof driver.mkv --sequential 1.5 -2
inspect
inspect mine.edge --json
selftest
selftest mine.edge --engine all --threads 2
tune
tune mine.edge --threads 1,2 --seconds 5
profile
profile liveness --engine all
profile mine.edge --engine all --threads 1,2 --seconds 60 --report profile.html
profile mine.edge --precision int8.onnx --single-stream
slice mine.edge --format tflite --precision int8 --out app.edge
train deepsign --preset best --data cedar:PATH svc2004:PATH --out runs/first
train ganomaly --preset best --data spoof:PATH --out runs/live
train mobilenetv2 --weights mobilenet_v2-b0353104.pth --data cedar:PATH --out runs/mobilenet
train mobilenetv2 --from runs/mobilenet --qat --data cedar:PATH --out runs/mobilenet-int8
train spoof_lbp --preset recorded --data spoof:PATH --split people.json --out runs/lbp --seed 1 --steps 5 --tiny --json
distill deepsign --teacher runs/large runs/other --data cedar:PATH --split FILE --unlabeled scans/ --out out
distill ganomaly_lite --teacher runs/live --data spoof:PATH --split runs/live/split.json --out runs/lite
distill deepsign --teacher r --data cedar:PATH --out o --labels 1 --relation 1 --embedding 1 --views 2
distill deepsign --teacher r --data cedar:PATH --out o --unlabeled scans/ --unlabeled-batch 8
distill spoof_lite --teacher r --data spoof:PATH --out o --reconstruction 1 --features 1 --soft 1 --temperature 2
export runs/first --out mine.edge --formats onnx,tflite,tensorrt
export runs/lbp runs/lite --fusion lowest --formats onnx,tflite --name liveness --out liveness.edge
export runs/live --out live.edge --version 2.0.0 --leave-out --json
export runs/live --out live.edge --report-only
evaluate deepsign --data cedar:PATH photo+cedar:PATH --subjects-file FILE
evaluate live.edge --data nuaa-test:PATH lfw:PATH print+lfw:PATH --faces cascade --frame-rate 20 --out evaluation
reproduce deepsign-table7 --data cedar:PATH sigcomp2011:PATH svc2004:PATH --out runs/tables
reproduce cross-validation --models deepsign --folds 2 --steps 600 --out runs/tables --presets best --seed 1
reproduce deepsign-table7 --steps 200 --weights FILE --cohort 20 --out runs/tables
demo
demo --out runs/demo
"""


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return _parser()


@pytest.mark.parametrize("line", [line for line in DOCUMENTED.splitlines() if line])
def test_it_is_still_understood(line: str, parser: argparse.ArgumentParser) -> None:
    assert callable(parser.parse_args(line.split()).handler)

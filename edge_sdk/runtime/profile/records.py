"""What a profile consists of: frozen records that travel from the measuring process as JSON, and into the report."""

from __future__ import annotations

import msgspec

from edge_sdk.runtime.engines.placement import NodePlacement


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Job(_Record, frozen=True, kw_only=True):
    """One configuration to measure, in a process of its own: at least ``seconds`` and at least ``calls``.

    The process opens the bundle whose manifest has this SHA-256, whoever signed it: what planned the job has asked.
    """

    bundle: str
    sha256: str
    engine: str
    variant: str
    threads: int
    seconds: float
    calls: int = 1

    @property
    def label(self) -> str:
        """``onnxruntime int8.onnx, 1 thread``."""
        return f"{self.engine} {self.variant}, {self.threads} thread{'s' if self.threads > 1 else ''}"


class Quantile(_Record, frozen=True, kw_only=True):
    """The smallest latency that a share ``p`` of the calls did not exceed, in milliseconds.

    ``low`` and ``high`` bound the quantile of the machine's latency with 95 % confidence, whatever its distribution, as
    if calls were independent; None where so few calls give no bound.
    """

    p: float
    ms: float
    low: float | None
    high: float | None


class Stage(_Record, frozen=True, kw_only=True):
    """Latency of one stage over all warm calls; nothing is clipped or left out."""

    name: str
    quantiles: tuple[Quantile, ...]
    max_ms: float


class Moment(_Record, frozen=True, kw_only=True):
    """Calls in one slice of the run: when it ends (s), and their median and maximum (ms)."""

    at_s: float
    median_ms: float
    max_ms: float


class ProfileProgress(_Record, frozen=True, kw_only=True, tag="progress"):
    """How far a measurement has come."""

    seconds: float
    calls: int


class MeasuredJob(_Record, frozen=True, kw_only=True, tag="measured"):
    """One configuration, measured.

    Attributes:
        init_ms: Opening the bundle, importing the engine's package, loading; in a fresh process. An engine that builds
            (TensorRT) does so here if it has not before.
        reload_ms: The same again in the same process: nothing to import, nothing to build.
        first_ms: Decoding, pre-processing and embedding, or judging, of the first picture.
        calls: Warm calls, from the file's bytes to the decision: one picture, for task ``verify`` against a template.
        stages: ``decode``, ``preprocess``, ``inference``, ``postprocess`` and ``total``.
        window_s: Length of the first and last part of the run that throughput is taken from.
        first_per_s: Calls per second in the first such part.
        last_per_s: And in the last: a device that gets hot gets slower.
        peak_bytes: Most memory resident until the last warm call, with Python, numpy and OpenCV.
        nodes: Which kinds of nodes ran where; None where the engine does not report it.
        curve: (ms, share of calls not above it) of the total.
        moments: The run cut into slices.
    """

    engine_version: str
    init_ms: float
    reload_ms: float
    first_ms: float
    calls: int
    seconds: float
    stages: tuple[Stage, ...]
    window_s: float
    first_per_s: float
    last_per_s: float
    peak_bytes: int | None
    nodes: tuple[NodePlacement, ...] | None
    curve: tuple[tuple[float, float], ...]
    moments: tuple[Moment, ...]

    def stage(self, name: str) -> Stage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)


class FailedJob(_Record, frozen=True, kw_only=True, tag="failed"):
    """A configuration that could not be measured: the error's type and message."""

    error: str
    message: str


class Power(_Record, frozen=True, kw_only=True):
    """A Jetson's power mode, and its mean and highest draw in watts while one configuration ran."""

    mode: str
    mean_w: float
    max_w: float


class ProfiledJob(_Record, frozen=True, kw_only=True):
    """One configuration and what came of it; ``power`` is None where nothing tells."""

    job: Job
    outcome: MeasuredJob | FailedJob
    power: Power | None


class Machine(_Record, frozen=True, kw_only=True):
    """What it ran on; None is what could not be found out. instruction_set: ``x86-64 AVX512-VNNI``."""

    processor: str
    cores: int | None
    instruction_set: str
    governor: str | None
    load_average: float | None
    system: str
    versions: dict[str, str]


class ProfileReport(_Record, frozen=True, kw_only=True):
    """A bundle's profile. ``single_stream``: measured by MLPerf's rule, whose figure is the 90th percentile."""

    bundle_id: str
    machine: Machine
    runs: tuple[ProfiledJob, ...]
    single_stream: bool


class MeasuredStream(_Record, frozen=True, kw_only=True):
    """What came of the frames of a film that was played in real time.

    Attributes:
        plays: How often the film was begun; each play is a stream of its own.
        interrupted: Somebody ended it before its time.
        seconds: From the first frame of the first play to the last result.
        frames: Frames that were taken, each with a result.
        scored: Those of them that the network scored.
        dropped: Frames that came and were replaced by the next one before they could be taken.
        late: Frames taken whose result came after the next frame had come.
        held: Whether the detector kept up: nothing was dropped. None where the network never ran.
        decisions: How many results had each decision.
        deadlines: Results with the reason ``deadline``.
        first_decision_s: By play, from its first frame to the first LIVE or SPOOF; None without one.
        stages: Milliseconds of each frame. ``wait``: in the buffer; ``decode``: the film's code, also of the frames
            dropped before it; ``locate``, ``preprocess``, ``inference``, ``rest``. ``latency`` is their sum, from the
            frame's arrival to its result, and ``work`` the same without ``wait``. ``age``: how old the frame of the
            newest result had become when the next result came.
        peak_bytes: Most memory resident, with Python, numpy and OpenCV.
        grown_bytes: How much of it was added in the second half of the run; None where nobody can tell.
        curve: (ms, share of frames not above it) of the latency.
        moments: The run's latencies cut into slices.
    """

    plays: int
    interrupted: bool
    seconds: float
    frames: int
    scored: int
    dropped: int
    late: int
    held: bool | None
    decisions: dict[str, int]
    deadlines: int
    first_decision_s: tuple[float | None, ...]
    stages: tuple[Stage, ...]
    peak_bytes: int | None
    grown_bytes: int | None
    curve: tuple[tuple[float, float], ...]
    moments: tuple[Moment, ...]

    def stage(self, name: str) -> Stage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)


class StreamProfile(_Record, frozen=True, kw_only=True):
    """A film that was played to a spoof detector in real time, as a camera with one buffer shows frames.

    Attributes:
        fps: Frames that came a second.
        init_ms: Opening the detector and warming it up, in a process that had loaded some of its packages.
    """

    bundle_id: str
    machine: Machine
    film: str
    engine: str
    variant: str
    threads: int
    faces: str
    fps: float
    init_ms: float
    measured: MeasuredStream

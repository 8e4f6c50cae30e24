"""Every error that edge-sdk raises on purpose, in one tree.

Each class is also the built-in that fits, so ``except ValueError`` keeps working::

    EdgeSdkError
    ├── InputError (ValueError)            the application's input cannot be used
    │   ├── ImageNotFoundError (FileNotFoundError)
    │   ├── ImageDecodeError               not an image, truncated, or empty
    │   ├── ImageTooLargeError             the header announces more pixels than allowed
    │   ├── UnsupportedImageError          an array of a wrong type or shape, another format, or several pages
    │   │   └── BitDepthError              an array of 16 bits that may hold 8 to 14 bits
    │   ├── VideoDecodeError               not a video, or one without a frame that can be decoded
    │   ├── CameraError                    no such camera, or it gives no pictures
    │   ├── RecordingNotFoundError (FileNotFoundError)
    │   ├── RecordingDecodeError           a sensor's file that is no CSV of numbers, truncated, or empty
    │   ├── UnsupportedRecordingError      a sensor's array of a wrong type or shape, not finite, or too short
    │   ├── PreprocessingError             an operation of the pre-processing fails on the input
    │   ├── UnusableSampleError            a readable image that cannot be enrolled (empty, too small)
    │   └── RejectedSampleError            a sample that may not join a template: it is not accepted as this person
    ├── BundleError                        a bundle cannot be used
    │   ├── BundleNotFoundError (FileNotFoundError)
    │   ├── ManifestError (ValueError)     the manifest is not what the schema says
    │   │   └── SchemaVersionError         the manifest was written by a newer edge-sdk
    │   ├── IntegrityError (ValueError)    a file is missing, or its size or hash differs
    │   │   ├── SignatureError             no trusted key signed the bundle, or its signature does not fit
    │   │   └── RollbackError              its version is older than the least that is wanted
    │   ├── UnsafePathError (ValueError)   a path leaves the bundle
    │   └── OperatingPointError (LookupError)  no such operating point, or not enough data for it
    ├── EngineError (RuntimeError)         an inference engine failed
    │   ├── MissingEngineError (ImportError)
    │   ├── BrokenEngineError (ImportError)    its package is installed but cannot be loaded
    │   ├── EngineVersionError             the installed version of an engine's package is too old
    │   ├── UnsupportedModelError          the engine's parser or builder refuses the model
    │   ├── ForeignEngineError             a compiled model that is damaged, or was not made with this user's key
    │   ├── DeviceNotFoundError            no such accelerator, or no driver for it
    │   └── DeviceMemoryError (MemoryError)  the accelerator has not enough memory
    ├── TemplateError (ValueError)         a template is damaged or of another embedding space
    │   ├── TemplateKeyError               its key is missing or another one, or others may read the key's file
    │   └── RevokedTemplateError           a list of revoked templates names it
    ├── DatasetError (ValueError)          a data folder is empty or half-complete
    ├── ScoreError (ValueError)            too few scores, or not finite, for the asked statistic
    ├── GuardrailError (RuntimeError)      int8 costs more accuracy than the budget, or nobody can tell
    ├── MissingToolError (ImportError)     a package that an extra installs, such as the workstation's, is not there
    ├── ConversionError (RuntimeError)     a network cannot be had in a variant's format
    ├── TrainingError (RuntimeError)       a training run cannot start, continue or converge
    │   └── DivergenceError                its loss is not finite
    ├── StorageError (OSError)             a file of edge-sdk's own cannot be read, written or locked
    │   └── ForeignFileError               somebody else can have written it
    ├── InstallationError (ImportError)    a package that edge-sdk needs is missing, broken or does not fit
    └── UsageError (ValueError)            arguments that do not go together
"""

from __future__ import annotations

from typing import Any, TypeVar

_Raised = TypeVar("_Raised", bound="EdgeSdkError")


class EdgeSdkError(Exception):
    """Root of the tree; catch it to catch everything edge-sdk raises on purpose.

    Every error can be copied and pickled, as a pool of processes does to hand it over, whatever its constructor takes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Restore from the message and the attributes; Python's own way passes the message to the constructor."""
        args: tuple[Any, ...] = tuple(super().__reduce__()[1])  # of an OSError with its file, which ``args`` lacks
        return _restore, (type(self), args, self.__dict__)


class InputError(EdgeSdkError, ValueError):
    """The application's input cannot be used."""


class ImageNotFoundError(InputError, FileNotFoundError):
    """There is no image at this path."""


class ImageDecodeError(InputError):
    """The bytes are no complete image of a supported format."""


class ImageTooLargeError(InputError):
    """The image announces more pixels than the decoder accepts; nothing was decoded."""


class UnsupportedImageError(InputError):
    """An array that is not gray, BGR or BGRA of 8 or 16 bits; a file of another format, several pages, a rare kind."""


class BitDepthError(UnsupportedImageError):
    """An array of 16 bits that holds 8 to 14 bits, or a very dark picture: its values cannot tell which."""


class VideoDecodeError(InputError):
    """The file is no video of a supported format, or holds no frame that can be decoded."""


class CameraError(InputError):
    """There is no such camera, or it gives no pictures."""


class RecordingNotFoundError(InputError, FileNotFoundError):
    """There is no recording of a sensor at this path."""


class RecordingDecodeError(InputError):
    """The bytes are no complete recording of a sensor."""


class UnsupportedRecordingError(InputError):
    """A recording that is not finite numbers of the wanted channels, or that is too short."""


class PreprocessingError(InputError):
    """An operation of a bundle's pre-processing fails on the input, or lacks the memory for it."""


class UnusableSampleError(InputError):
    """A readable image without a usable sample in it, so that it cannot be enrolled."""


class RejectedSampleError(InputError):
    """A sample that may not join a template: it is not accepted as this person's surely enough, or is there already."""


class BundleError(EdgeSdkError):
    """A bundle cannot be used."""


class BundleNotFoundError(BundleError, FileNotFoundError):
    """Neither a shipped bundle nor a bundle on disk."""


class ManifestError(BundleError, ValueError):
    """The manifest is not what the schema says."""


class SchemaVersionError(ManifestError):
    """The manifest was written by a newer edge-sdk."""


class IntegrityError(BundleError, ValueError):
    """A file of the bundle is missing, or its size or hash is not the manifest's."""


class SignatureError(IntegrityError):
    """No trusted key signed the bundle, or its signature is damaged or belongs to another manifest."""


class RollbackError(IntegrityError):
    """The bundle is genuine and older than the least version that is wanted of it."""


class UnsafePathError(BundleError, ValueError):
    """A path in the bundle is absolute, leaves the bundle, or is a link."""


class OperatingPointError(BundleError, LookupError):
    """The variant has no such operating point, or its data could not support it."""


class EngineError(EdgeSdkError, RuntimeError):
    """An inference engine could not load or run a model."""


class MissingEngineError(EngineError, ImportError):
    """The package of an inference engine is not installed.

    Any of ``extra`` and ``others`` brings one that would do; ``elsewhere`` says where pip is not the way.
    """

    def __init__(self, engine: str, extra: str, *others: str, elsewhere: str = "") -> None:
        remedy = "; or ".join(_remedy(name) for name in (extra, *others))
        exception = f" ({elsewhere})" if elsewhere else ""
        super().__init__(f'engine "{engine}" is not installed; {remedy}{exception}')
        self.engine = engine
        self.extra = extra


class BrokenEngineError(EngineError, ImportError):
    """The package of an inference engine is installed, but it or a library that it needs cannot be loaded."""


class EngineVersionError(EngineError):
    """The installed version of an engine's package is too old; the message says which is needed and where it is."""


class UnsupportedModelError(EngineError):
    """An engine's parser or builder refuses the model, in whose words the message says why."""


class ForeignEngineError(EngineError):
    """A compiled model that was kept is damaged, or was not made with this user's key; it is compiled anew."""


class DeviceNotFoundError(EngineError):
    """The accelerator, or the driver for it, is not there."""


class DeviceMemoryError(EngineError, MemoryError):
    """The accelerator has not enough memory."""


class TemplateError(EdgeSdkError, ValueError):
    """A template is damaged, or belongs to another embedding space or variant."""


class TemplateKeyError(TemplateError):
    """A template's key is missing, is another one or no key, or the place where it is kept does not keep it secret."""


class RevokedTemplateError(TemplateError):
    """A template was revoked, or has no id by which anybody could tell."""


class DatasetError(EdgeSdkError, ValueError):
    """A data folder is missing, empty or half-complete."""


class ScoreError(EdgeSdkError, ValueError):
    """Scores are too few, or not finite, for the statistic that was asked for."""


class GuardrailError(EdgeSdkError, RuntimeError):
    """int8 costs more accuracy than the budget allows, or the data cannot tell."""


class MissingToolError(EdgeSdkError, ImportError):
    """A package that an extra installs is not there, or not as it has to be; ``reason`` says which."""

    def __init__(self, package: str, extra: str, reason: str = "is not installed") -> None:
        super().__init__(f"{package} {reason}; {_remedy(extra)}")
        self.package = package
        self.extra = extra


class ConversionError(EdgeSdkError, RuntimeError):
    """A network cannot be converted to a variant's format, or the result would not run where it has to."""


class TrainingError(EdgeSdkError, RuntimeError):
    """A training run cannot start, continue or converge."""


class DivergenceError(TrainingError):
    """The loss of a training is not finite."""


class StorageError(EdgeSdkError, OSError):
    """A file or folder of edge-sdk's own, such as a key, cannot be read, written or locked, or others can write it."""


class ForeignFileError(StorageError):
    """A file or folder of edge-sdk's own belongs to somebody else, or others may write it (or read it, of a secret)."""


class InstallationError(EdgeSdkError, ImportError):
    """A package that edge-sdk needs is missing, broken or does not fit; the message says how to mend it."""


class UsageError(EdgeSdkError, ValueError):
    """Arguments that do not go together."""


def _remedy(extra: str) -> str:
    """How to install an extra; not by the project's name, for the package index has another project of that name."""
    from importlib import metadata

    try:
        declared = metadata.requires("edge-sdk") or []
    except metadata.PackageNotFoundError:  # from a zip, or frozen
        declared = []
    split = [line.partition("; extra == ") for line in declared]
    needed = " ".join(f'"{package}"' for package, _, name in split if name.strip("'\"") == extra)
    return f'install edge-sdk with the extra "{extra}"' + (f", or run: pip install {needed}" if needed else "")


def _restore(kind: type[_Raised], args: tuple[Any, ...], attributes: dict[str, Any]) -> _Raised:
    """An error as its constructor left it, without calling it."""
    native: type[Any] = kind
    while native.__module__ != "builtins":
        native = native.__base__  # type: ignore[assignment]
    error: _Raised = native.__new__(kind, *args)
    super(EdgeSdkError, error).__init__(*args)
    error.__dict__.update(attributes)
    return error

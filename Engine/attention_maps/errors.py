"""The few named errors of the engine; every one is also the built-in error that callers expect."""


class AttentionMapsError(Exception):
    """Base of all errors that the engine raises on purpose."""


class ImageError(AttentionMapsError, ValueError):
    """An image, mask or its geometry cannot be used."""


class SpecError(AttentionMapsError, ValueError):
    """A model specification (sidecar file) is not valid or does not fit the model or the image."""


class ModelError(AttentionMapsError, ValueError):
    """A model source cannot be loaded, or not without executing code that it carries."""


class ConsentError(ModelError):
    """A model can be loaded by executing code that comes with it, to which nobody has agreed."""


class LayerError(AttentionMapsError, ValueError):
    """A layer does not exist in the model, or has nothing that can be placed in the image."""


class MethodError(AttentionMapsError, ValueError):
    """A method does not exist, got a wrong option, or does not apply to this layer or model."""


class TargetError(AttentionMapsError, ValueError):
    """The question does not fit the model's answer."""


class ModelRunError(AttentionMapsError, RuntimeError):
    """The network itself failed on this input."""


class WorkerError(AttentionMapsError, RuntimeError):
    """The worker process could not be started, ended by itself, or got a message it cannot read.

    Args:
        message: What happened and what to do.
        log: Last lines that the worker wrote before it ended.
    """

    def __init__(self, message: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log = log


class MissingPackageError(AttentionMapsError, ImportError):
    """A Python package is not installed that this needs."""


class Cancelled(AttentionMapsError):  # noqa: N818 - an outcome, not an error
    """The progress callback returned False."""

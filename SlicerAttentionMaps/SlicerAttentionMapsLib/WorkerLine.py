"""The worker of a session: started when it is needed, brought up to date, its state kept."""

import logging
import math
import time
from collections import deque

from . import Dependencies, Interpreters
from .EnginePath import ensureEngine
from .WorkerSubject import WorkerSubject

LINES_OF_LOG = 200


class WorkerLine:
    """A worker with its model, layers and answer (see `WorkerSession`).

    Attributes:
        client: the engine's `WorkerClient`; None until a worker is needed.
        subject: the `WorkerSubject` that the next questions are about.
    """

    def __init__(self, interpreter: str, environment, onChanged) -> None:
        self.model = None
        self.modelError = ""
        self.modelErrorKind = ""
        self.modelLoading = False
        self.layers = None
        self.layersLoading = False
        self._interpreter = interpreter
        self._environment = dict(environment or {})
        self._onChanged = onChanged
        self.client = None
        self._listing = None
        self.subject = WorkerSubject()
        self._modelKey: tuple = ()
        self._layersKey: tuple = ()
        self._answer = None
        self._answerKey: tuple = ()
        self._sentKey: tuple = ()
        self._isLimited = False
        self._currentKey: tuple = ()
        self._events: deque = deque(maxlen=LINES_OF_LOG)

    @property
    def answer(self):
        """The network's answer on the chosen volumes, a `WorkerAnswer`; None if not known yet."""
        return self._answer if self._answerKey == self.subject.key else None

    def choose(
        self, volumeNodes, modelPath, spec=None, device: str = "auto", *, options=None, region=None
    ) -> None:
        """Say what the next questions are about; loads the model and lists its layers.

        Costs nothing where it is what was chosen before.

        Args:
            volumeNodes: the volume, or one per channel; may be empty.
            modelPath: model file or folder; empty for none.
            spec: what the network expects: a dict, a path or a name; None for the sidecar.
            device: where the network runs.
            options, region: see `WorkerSubject`.
        """
        nodes = tuple(node for node in volumeNodes if node is not None)
        self.subject = WorkerSubject(
            nodes, str(modelPath or ""), spec or None, device, dict(options or {}), region
        )
        if not nodes:
            self._forgetImage()
        if self.subject.modelKey != self._modelKey:
            self._loadModel()

    def environment(self, onDone, onError=None) -> None:
        """Ask what the worker runs on: versions and devices, a dict.

        Args:
            onDone: called with it.
            onError: called with the error where there is no worker to be had.
        """
        try:
            client = self._started()
        except Exception as error:
            if onError is not None:
                onError(self.readable(error))
            return
        callbacks = {"on_done": onDone}
        if onError is not None:
            callbacks["on_error"] = lambda error: onError(self.readable(error))
        client.hello(**callbacks)

    def log(self) -> str:
        """What was asked and what the worker wrote, line by line."""
        lines = self.client.log() if self.client is not None else ()
        return "\n".join([*self._events, *lines])

    def close(self) -> None:
        """End the worker."""
        if self.client is not None:
            self.client.close()
        self.client = None
        self.model, self.layers, self._answer = None, None, None
        self._isLimited = False
        self.modelLoading = self.layersLoading = False
        self._modelKey = self._layersKey = self._answerKey = self._currentKey = ()

    def _started(self):
        """Return the client; its worker starts with the first request."""
        ensureEngine()
        from attention_maps.worker.client import WorkerClient

        if self.client is None:
            interpreter = Interpreters.find(self._interpreter)
            variables = {**Interpreters.changesFor(interpreter), **self._environment}
            self.client = WorkerClient(interpreter, environment=variables)
        return self.client

    def _loadModel(self, question=None, then=None) -> None:
        """Load the chosen model, then list its layers and go on.

        Args:
            question: the `WorkerQuestion` that waits for it.
            then: called once it is loaded.
        """
        subject, key = self.subject, self.subject.modelKey
        self._stopListing(patient=False)
        self._modelKey, self._layersKey = key, ()
        self.model, self.modelError, self.layers, self._answer = None, "", None, None
        self.modelErrorKind = ""
        self._answerKey = self._currentKey = ()
        self.modelLoading = self.layersLoading = False
        if not subject.modelPath:
            self.changed()
            return

        def loaded(summary: dict) -> None:
            if key != self._modelKey:
                return
            self.model, self.modelLoading = summary, False
            self._note(summary["line"])
            self.requestLayers(sized=False)
            self.changed()

        def failed(error: Exception) -> None:
            if key == self._modelKey:
                self.modelLoading, self.modelError = False, str(self.readable(error))
                self.modelErrorKind = type(error).__name__
                self._note(f"model: {self.modelError}")
                self.changed()

        try:
            self._started().load_model(
                subject.modelPath, subject.spec, subject.device, options=subject.options,
                on_done=loaded, on_error=failed,
            )  # fmt: skip
            self.modelLoading = True
        except Exception as error:
            failed(error)
        self.changed()

    def requestLayers(self, *, sized: bool) -> None:
        """List the model's layers, for the size of the volumes once a question has set them."""
        key = (self._modelKey, self.subject.volumesKey if sized else "")
        if self.model is None or self.client is None or key == self._layersKey:
            return
        if self.layers is not None and not sized:
            return
        self._layersKey, self.layersLoading = key, True

        def listed(infos) -> None:
            if key == self._layersKey:
                self.layers = infos or self.layers
                self.layersLoading = False
                self.changed()

        self._listing = self.client.layers(
            sized=sized, on_done=listed, on_error=lambda _: listed(None)
        )

    def _requestLayersAfter(self, error) -> None:
        """List the layers that a question went before, unless a person wanted no more of it.

        Once the network has run on the volumes, this costs nothing; else a forward pass.
        """
        from attention_maps.errors import Cancelled

        if not isinstance(error, Cancelled):
            self.requestLayers(sized=error is None)

    def _stopListing(self, *, patient: bool = True) -> None:
        """Let something else go before the list of layers, which is asked for again after it.

        Args:
            patient: whether the worker may end the operation that it is in, however long that
                takes; else it is ended where it is stuck, and a new one goes on.
        """
        if self._isListing:
            grace = {"seconds": math.inf} if patient else {}
            self.client.cancel(self._listing, **grace)
            self._layersKey, self.layersLoading = (), False

    @property
    def _isListing(self) -> bool:
        """Whether the worker is at the list of layers, or has not yet stopped making it."""
        return self.client is not None and self._listing is not None and not self._listing.done

    def update(self, question, send) -> None:
        """Bring the worker up to date for a question, then send it.

        Everything is under way at once where the model is known; else its number of axes, which
        tells how volumes become images, is waited for.
        """
        subject = question.subject
        subject.check()
        client = self._started()
        self._stopListing()
        question.key = subject.key
        if client.pid is not None and question.key == self._currentKey:
            question.model = self.model
            send()
            return
        self._sentKey, self._currentKey = question.key, ()
        known = self.model is not None and subject.modelKey == self._modelKey

        def go(summary: dict) -> None:
            if question.done:
                return
            question.model = summary
            if question.key[1] == self._modelKey:  # no other model was chosen meanwhile
                self.model = summary
            self._stopListing()
            channels, affine = subject.channels(summary["spatial_dims"])
            key = f"{subject.volumesKey} {summary['spatial_dims']}"
            sending = self.callbacks(question)
            question.requests.append(client.set_image(channels, affine, image_id=key, **sending))
            self._sendRegion(question, summary)
            send()

        def loaded(summary: dict) -> None:
            try:
                go(summary)
            except Exception as error:
                question.fail(self.readable(error))

        first = "Waiting for the list of layers" if self._isListing else "Loading the model"
        question.report(0.0, first)
        sending = self.callbacks(question, **({} if known else {"on_done": loaded}))
        request = client.load_model(
            subject.modelPath, subject.spec, subject.device, options=subject.options, **sending
        )
        question.requests.append(request)
        if known:
            go(self.model)

    def _sendRegion(self, question, summary: dict) -> None:
        """Limit runs to the region; nothing is sent where there was none before either."""
        mask = question.subject.mask(summary["spatial_dims"])
        if mask is not None or self._isLimited:
            self.client.set_region(mask, **self.callbacks(question))
        self._isLimited = mask is not None

    def noteCurrent(self, question) -> None:
        """Note that the worker has got what this question was about, as it has answered it."""
        if question.key == self._sentKey:
            self._currentKey = question.key

    def callbacks(self, question, **more) -> dict:
        """Return what a request tells: the first error of all ends the question."""
        return {"on_error": lambda error: question.fail(self.readable(error)), **more}

    def _forgetImage(self) -> None:
        """Let go of the volumes' voxels."""
        if self.client is not None:
            self.client.forget_image()
        self._answer, self._answerKey, self._currentKey = None, (), ()

    def readable(self, error: Exception) -> Exception:
        """Return an error that says what to do in the panel."""
        from attention_maps.errors import AttentionMapsError, MissingPackageError, WorkerError

        logging.debug("Attention Maps: %s", error, exc_info=error)
        known = (*Dependencies.FOR_MODELS, *Dependencies.FOR_MEASURES)
        if isinstance(error, MissingPackageError) and not Dependencies.namedIn(str(error), known):
            return MissingPackageError(
                f"{error} Open the Setup section, which installs it, or choose another Python "
                "there."
            )
        if isinstance(error, AttentionMapsError | OSError):
            return error
        return WorkerError(f"{type(error).__name__}: {error}")

    def _note(self, text: str) -> None:
        self._events.append(f"{time.strftime('%H:%M:%S')} {text}")

    def changed(self) -> None:
        if self._onChanged is not None:
            self._onChanged()

"""Maps held against segments by the worker, one pair after another: a table at the end."""

from . import MapAnalysis
from .SceneTransaction import removeNewNodesOnError

_GONE = "'{name}' was removed while it was measured; choose what there is and measure it again."


class WorkerComparison:
    """What is left to compare, and what was measured.

    Args:
        client: the engine's `WorkerClient`.
        question: the `WorkerQuestion` that waits for the table.
        mapNodes: maps, each with all its layers.
        segmentationNode: holds the ground truth.
        segmentIds: of its segments.
        metrics: names of metrics; None for all.
        threshold: as in `attention_maps.evaluate`.
        options: a dict of the metrics' options, and `sign`; None for none.
        readable: makes an error one that can be shown.
    """

    def __init__(
        self, client, question, mapNodes, segmentationNode, segmentIds, metrics, threshold,
        options, readable,
    ) -> None:  # fmt: skip
        self._client = client
        self._question = question
        self._maps = list(mapNodes)
        self._segmentation = segmentationNode
        self._pairs = MapAnalysis.comparisons(self._maps, segmentationNode, segmentIds)
        self._metrics, self._threshold, self._options = metrics, threshold, options or {}
        self._readable = readable
        self._rows: list = []
        self._masks: dict = {}

    def ask(self) -> None:
        """Ask about the next pair; after the last one the table is made."""
        question = self._question
        if question.done:
            return
        count = len(self._rows)
        if count == len(self._pairs):
            question.work = self._addTable()
            return
        pair = self._pairs[count]
        question.report(count / len(self._pairs), pair.name)
        if pair.segmentId not in self._masks:
            self._masks[pair.segmentId] = pair.mask()
        question.requests.append(
            self._client.evaluate(
                pair.image(), self._masks[pair.segmentId], self._metrics, self._threshold,
                options=self._options, on_done=self._measured, on_error=self._failed,
            )
        )  # fmt: skip

    def _measured(self, scores) -> None:
        try:
            self._refuseWhatIsGone()
            self._rows.append(self._pairs[len(self._rows)].row(scores))
            self.ask()
        except Exception as error:  # ends the question, whatever it is
            self._failed(error)

    def _refuseWhatIsGone(self) -> None:
        """Raise an error where a person has removed what is compared."""
        from attention_maps.errors import ImageError

        refuseWhatIsGone([self._segmentation, *self._maps])
        segmentation = self._segmentation.GetSegmentation()
        for pair in self._pairs:
            if segmentation.GetSegment(pair.segmentId) is None:
                raise ImageError(_GONE.format(name=pair.segmentId))

    def _failed(self, error: Exception) -> None:
        self._question.fail(self._readable(error))

    def _addTable(self):
        """Add the table as the last step; a generator, as the session does its work in steps."""
        yield
        self._refuseWhatIsGone()
        with removeNewNodesOnError(self._segmentation.GetScene()):
            return MapAnalysis.addMetrics(
                self._rows, self._maps, self._segmentation, self._threshold, self._options
            )


def refuseWhatIsGone(nodes) -> None:
    """Raise an error where a person has removed what is measured."""
    error = errorOfWhatIsGone(nodes)
    if error is not None:
        raise error


def errorOfWhatIsGone(nodes) -> Exception | None:
    """Return an error where a person has removed what is measured; None stands for no node."""
    from attention_maps.errors import ImageError

    for node in nodes:
        scene = node.GetScene() if node is not None else None
        if node is not None and (scene is None or not scene.IsNodePresent(node)):
            return ImageError(_GONE.format(name=node.GetName()))
    return None

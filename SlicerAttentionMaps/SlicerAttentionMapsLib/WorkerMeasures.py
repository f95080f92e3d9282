"""Questions of a session that measure: a table comes of each, or nothing."""

from functools import partial

from . import HotSpotNodes, ReportCases, StructureTable, SweepTable, TrustTable
from .SceneTransaction import removeNewNodesOnError
from .WorkerComparison import WorkerComparison, refuseWhatIsGone
from .WorkerLine import WorkerLine
from .WorkerQuestion import WorkerQuestion
from .WorkerSubject import WorkerSubject
from .WorkerTargets import targetFor


class WorkerMeasures(WorkerLine):
    """Part of `WorkerSession`. All take onProgress, onDone (called with the table) and onError."""

    def evaluate(
        self, mapNodes, segmentationNode, segmentIds, metrics=None, threshold="otsu",
        options=None, **listeners,
    ) -> WorkerQuestion:  # fmt: skip
        """Hold maps against segments of ground truth; needs neither volumes nor a model.

        Args:
            mapNodes, segmentationNode, segmentIds, metrics, threshold, options: as in
                `MapAnalysis.evaluate`.
            listeners: onProgress, onDone, onError.
        """

        def ask(client, question) -> None:
            WorkerComparison(
                client, question, mapNodes, segmentationNode, segmentIds, metrics, threshold,
                options, self.readable,
            ).ask()  # fmt: skip

        return self._measure("compare", ask, listeners)

    def structures(
        self, mapNode, segmentationNode, segmentIds=None, *, sign="positive", **listeners
    ) -> WorkerQuestion:
        """Share out the attention of a map among segments.

        Args:
            mapNode, segmentationNode, segmentIds, sign: as in
                `SlicerAttentionMapsLogic.structures`.
            listeners: onProgress, onDone, onError.
        """

        def ask(client, question) -> None:
            masks = StructureTable.masksOf(segmentationNode, segmentIds)
            make = partial(StructureTable.addTable, sign=sign)
            sending = self.callbacks(question, on_done=self._adding(question, mapNode, make))
            question.report(0.0, mapNode.GetName())
            image = StructureTable.imageOf(mapNode)
            question.requests.append(client.evidence(image, masks, sign=sign, **sending))

        return self._measure("structures", ask, listeners, mapNode)

    def hotSpots(
        self, mapNode, threshold="otsu", *, minimumMl: float = 0.0, most=None,
        segmentationNode=None, segmentIds=None, sign="positive", **listeners,
    ) -> WorkerQuestion:  # fmt: skip
        """Find the hot spots of a map.

        Args:
            mapNode, threshold, minimumMl, most, segmentationNode, segmentIds, sign: as in
                `SlicerAttentionMapsLogic.hotSpots`.
            listeners: onProgress, onDone, onError.
        """

        def ask(client, question) -> None:
            masks = {}
            if segmentationNode is not None:
                masks = StructureTable.masksOf(segmentationNode, segmentIds)
            add = self._adding(question, mapNode, partial(HotSpotNodes.addSpots, sign=sign))
            question.report(0.0, mapNode.GetName())
            request = client.hot_spots(
                StructureTable.imageOf(mapNode), threshold, minimum_ml=minimumMl, most=most,
                masks=masks, sign=sign, **self.callbacks(question, on_done=add),
            )  # fmt: skip
            question.requests.append(request)

        return self._measure("hot spots", ask, listeners, mapNode)

    def trust(self, mapNode, record, tests=None, seed: int = 0, **listeners) -> WorkerQuestion:
        """Test whether a map can be trusted; the chosen volumes and model are those of the map.

        Args:
            mapNode: the map.
            record: what it was asked (`QuestionRecord.of`).
            tests: names of tests; None for all.
            seed: of what is random.
            listeners: onProgress, onDone, onError.
        """
        question = WorkerQuestion(
            self.subject, f"trust {mapNode.GetName()}", measured=mapNode, **listeners
        )

        def send() -> None:
            add = self._adding(question, mapNode, TrustTable.addTable)
            request = self.client.trust(
                record.method, record.layer, record.target, tests=tests, seed=seed,
                options=record.methodOptions, on_progress=question.report,
                **self.callbacks(question, on_done=add),
            )  # fmt: skip
            question.requests.append(request)

        return self._begin(question, send)

    def sweep(
        self, target, segmentationNode=None, segmentIds=None, *, layers="all", methods=None,
        metrics=None, threshold="otsu", options=None, className=None, component: bool = False,
        **listeners,
    ) -> WorkerQuestion:  # fmt: skip
        """Try layers and methods for one question about the chosen volumes and model.

        Args:
            target, className, component: as in `WorkerSession.explain`.
            segmentationNode, segmentIds, layers, methods, metrics, threshold: as in
                `SlicerAttentionMapsLogic.sweep`.
            options: of the methods and metrics.
            listeners: onProgress, onDone, onError.
        """
        question = WorkerQuestion(self.subject, "sweep", **listeners)

        def send() -> None:
            asked = targetFor(question.subject, question.model, target, className, component)
            record = question.subject.record(asked)
            scan, axes = question.subject.scanNode, question.model["spatial_dims"]
            masks = StructureTable.masksFor(scan, axes, segmentationNode, segmentIds)

            def make(rows, scanNode):
                return SweepTable.addTable(rows, scanNode, record)

            add = self._adding(question, scan, make)
            request = self.client.sweep(
                masks, layers=layers, methods=methods, metrics=metrics, target=asked,
                threshold=threshold, options=options, on_progress=question.report,
                **self.callbacks(question, on_done=add),
            )  # fmt: skip
            question.requests.append(request)

        return self._begin(question, send)

    def saveReport(
        self, path, mapNodes, segmentationNode=None, segmentIds=None, title=None, **listeners
    ) -> WorkerQuestion:
        """Write a report; gives its path.

        Args:
            path, mapNodes, segmentationNode, segmentIds, title: as in
                `SlicerAttentionMapsLogic.saveReport`.
            listeners: onProgress, onDone, onError.
        """

        def ask(client, question) -> None:
            cases = ReportCases.cases(mapNodes, segmentationNode, segmentIds)
            question.report(0.0, f"Writing {path}")

            def written(found: dict) -> None:
                question.finish(found["path"])

            sending = self.callbacks(question, on_done=written)
            question.requests.append(client.report(path, cases, title=title, **sending))

        return self._measure("report", ask, listeners)

    def _measure(self, text: str, ask, listeners: dict, measured=None) -> WorkerQuestion:
        """Begin a question that needs neither volumes nor a model."""
        question = WorkerQuestion(WorkerSubject(), text, measured=measured, **listeners)
        self._questions.append(question)
        self._note(f"{text}: asked")
        try:
            ask(self._started(), question)
        except Exception as error:  # is told like all that comes later
            self._failed.append((question, self.readable(error)))
        self.changed()
        return question

    def _adding(self, question: WorkerQuestion, node, make):
        """Return what makes nodes of what was found, as the question's last step.

        Args:
            question: ends with what `make` returns.
            node: what was measured; must still be there.
            make: called with what was found, and the node.
        """

        def work(found):
            yield
            refuseWhatIsGone([node])
            with removeNewNodesOnError(node.GetScene()):
                return make(found, node)

        def add(found) -> None:
            question.work = work(found)

        return add

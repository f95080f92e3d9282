"""Which layer and method to take, and whether a map can be trusted."""

import logging

from . import LoadOptions, MapTargets, QuestionRecord, StructureTable, SweepTable, TrustTable
from .EnginePath import ensureEngine
from .SceneTransaction import removeNewNodesOnError
from .WorkerTargets import plainTarget


class TrustActions:
    """Actions of the logic that ask a model many times about one question."""

    def trust(
        self, mapNode, tests=None, seed: int = 0, progress=None, *, device: str = "auto",
        trust: bool = False,
    ):  # fmt: skip
        """Add a table that says whether a map can be trusted: what was tested, and what came out.

            table = logic.trust(overlay, ["deletion"])
            print([finding["sentence"] for finding in logic.findings(table)])

        Args:
            mapNode: the map, at the layer that it shows; its question is asked again.
            tests: names of tests (`attention_maps.trust_tests()`); None for all.
            seed: of what is random.
            progress: called with a fraction 0..1 and a message; returning False cancels.
            device: "auto", "cpu", "cuda", ...
            trust: whether code that comes with the model may be executed.

        Returns:
            The `vtkMRMLTableNode`; `plotTable` shows its curves.
        """
        ensureEngine()
        record = QuestionRecord.of(mapNode)
        explainer = self._explainerOf(record, device, trust)
        report = explainer.trust(
            record.method, record.layer, MapTargets.engineTarget(record.target), tests=tests,
            seed=seed, progress=progress, **record.methodOptions,
        )  # fmt: skip
        with removeNewNodesOnError(mapNode.GetScene()):
            return TrustTable.addTable(report.to_dict(), mapNode)

    def startTrust(
        self, mapNode, tests=None, seed: int = 0, *, device: str = "auto", trust: bool = False,
        **listeners,
    ):  # fmt: skip
        """Start to test whether a map can be trusted, in a process of its own; returns at once.

            question = logic.startTrust(overlay)

        Args:
            mapNode: and all others up to `listeners` as in `trust`.
            listeners: onProgress (fraction 0..1, message), onDone (the table), onError (the error).

        Returns:
            A `WorkerQuestion` with `done`, `result` and `error`; the worker's `cancel` ends it.
        """
        ensureEngine()
        record = QuestionRecord.of(mapNode)
        session = self.worker()
        options = {**record.options, "trust": True} if trust else record.options
        session.choose(
            list(record.volumeNodes), record.modelPath, record.spec, device, options=options,
            region=record.region,
        )  # fmt: skip
        return session.trust(mapNode, record, tests, seed, **listeners)

    def findings(self, tableNode) -> list[dict]:
        """Return what a trust report found: a dict per test with verdict, sentence, figures, ...

        found = logic.findings(logic.trust(overlay, ["residual"]))
        """
        return TrustTable.findingsOf(tableNode)

    def sweep(
        self, volumeNode, modelPath, target=None, *, segmentationNode=None, segmentIDs=None,
        layers="all", methods=None, metrics=None, threshold="otsu", progress=None,
        className=None, component: bool = False, spec=None, device: str = "auto", region=None,
        **options,
    ):  # fmt: skip
        """Add a table that holds layers against methods for one question.

            table = logic.sweep(t1, "model.pt", "tumor", segmentationNode=segmentation)
            layer = logic.best(table, "energy_inside")["layer"]

        Args:
            volumeNode, modelPath, target, className, component, spec, device, region: as in
                `explain`, with one question.
            segmentationNode: holds the ground truth; None measures the maps alone.
            segmentIDs: of its segments that count; None for all.
            layers: names of layers; "all" for all that can be explained.
            methods: names of methods; None for those that need one backward pass.
            metrics: names of metrics; None for the quick ones.
            threshold: as in `evaluate`.
            progress: called with a fraction 0..1 and a message; returning False cancels.
            options: of the methods, and of `attention_maps.load_model` as in `explain`.

        Returns:
            The `vtkMRMLTableNode`.
        """
        volumes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        ofModel, ofMethods = LoadOptions.split(options)
        kept = self._kept(volumes, modelPath, spec, device, ofModel, region)
        from attention_maps.sweeping import sweep

        axes = kept.explainer.source.ndim
        asked = MapTargets.question(
            target, volumes[0], axes=axes, className=className, component=component
        )
        masks = StructureTable.masksFor(volumes[0], axes, segmentationNode, segmentIDs)
        found = sweep(
            kept.explainer, mask=masks or None, layers=layers, methods=methods, metrics=metrics,
            target=MapTargets.engineTarget(asked), threshold=threshold, progress=progress,
            **ofMethods,
        )  # fmt: skip
        record = QuestionRecord.Record(
            tuple(volumes), modelPath, plainTarget(asked), spec, ofModel, region
        )
        with removeNewNodesOnError(volumes[0].GetScene()):
            return SweepTable.addTable(found.to_dict(), volumes[0], record)

    def startSweep(
        self, volumeNode, modelPath, target=None, *, segmentationNode=None, segmentIDs=None,
        layers="all", methods=None, metrics=None, threshold="otsu", className=None,
        component: bool = False, spec=None, device: str = "auto", region=None, onProgress=None,
        onDone=None, onError=None, **options,
    ):  # fmt: skip
        """Start to hold layers against methods, in a process of its own; returns at once.

            question = logic.startSweep(t1, "model.pt", "tumor", segmentationNode=segmentation)

        Args:
            volumeNode: and all others but the listeners as in `sweep`.
            onProgress, onDone, onError: called with fraction and message, the table, the error.

        Returns:
            A `WorkerQuestion` with `done`, `result` and `error`; the worker's `cancel` ends it.
        """
        volumes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        ofModel, ofMethods = LoadOptions.split(options)
        session = self.worker()
        session.choose(
            volumes, modelPath, spec, device, options=LoadOptions.forWorker(ofModel), region=region
        )
        return session.sweep(
            target, segmentationNode, segmentIDs, layers=layers, methods=methods, metrics=metrics,
            threshold=threshold, options=ofMethods, className=className, component=component,
            onProgress=onProgress, onDone=onDone, onError=onError,
        )  # fmt: skip

    def best(self, tableNode, metric: str, segment: str | None = None) -> dict | None:
        """Return the row of a sweep with the best value, a dict with "layer", "method" and values.

            best = logic.best(logic.sweep(t1, "model.pt", "tumor"), "entropy")

        Args:
            tableNode: what `sweep` returned.
            metric: name of a metric.
            segment: name of a segment; None for any.
        """
        return SweepTable.sweepOf(tableNode).best(metric, segment)

    def showBest(
        self, tableNode, metric: str, segment: str | None = None, *, device: str = "auto", **options
    ):
        """Make the map that is best in a sweep, and show it; returns the overlay.

            overlay = logic.showBest(logic.sweep(t1, "model.pt", "tumor"), "entropy")

        Args:
            tableNode, metric, segment: as in `best`.
            device, options: as in `explain`.

        Raises:
            MethodError: If no map of the sweep has a value.
        """
        found = self.best(tableNode, metric, segment)
        from attention_maps.errors import MethodError

        if found is None:
            raise MethodError(f"No map of '{tableNode.GetName()}' has a value of '{metric}'.")
        record = QuestionRecord.of(tableNode)
        layer = "auto" if found["layer"] == "input" else found["layer"]
        return self.explain(
            list(record.volumeNodes), record.modelPath, layer, found["method"], record.target,
            spec=record.spec, device=device, region=record.region,
            **LoadOptions.forLogic(record.options), **options,
        )  # fmt: skip

    def heatMap(self, tableNode, metric: str, path, segment: str | None = None) -> None:
        """Draw layers against methods as colors with numbers, to a .png or .svg file.

            logic.heatMap(logic.sweep(t1, "model.pt", "tumor"), "entropy", "layers.png")

        Args:
            tableNode: what `sweep` returned.
            metric: name of a metric.
            path: of the picture.
            segment: name of a segment; None for the first.
        """
        SweepTable.sweepOf(tableNode).heat_map(path, metric, segment)
        logging.info("Saved %s", path)

    def _explainerOf(self, record, device: str, trust: bool):
        options = {**record.options, "trust": True} if trust else record.options
        return self._kept(
            list(record.volumeNodes), record.modelPath, record.spec, device, options, record.region
        ).explainer

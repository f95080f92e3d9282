"""Everything the module does, without a widget: nodes in, nodes out.

logic = SlicerAttentionMapsLogic()
overlayNode = logic.explain(slicer.util.getNode("T1"), "/path/to/model.pt")
logic.jumpToMaximum(overlayNode)
"""

import logging

import slicer

from . import LoadOptions, MapTargets, QuestionRecord, ResultNodes
from .EnginePath import ensureEngine
from .KeptSessions import KeptSessions
from .LogicAnalysis import AnalysisActions
from .LogicMaps import MapActions
from .LogicModel import ModelActions
from .LogicQuestion import QuestionActions
from .LogicTrust import TrustActions
from .LogicWorker import WorkerActions
from .SceneTransaction import removeNewNodesOnError
from .WorkerTargets import plainTarget


class SlicerAttentionMapsLogic(
    MapActions, AnalysisActions, TrustActions, ModelActions, QuestionActions, WorkerActions
):
    """Explain models on volumes of the scene; keeps the last forward passes for the next question.

    What is done with maps that were made is in `MapActions`, `AnalysisActions` and
    `TrustActions`.

    Args:
        scene: the MRML scene; None for the application's, `slicer.mrmlScene`.
    """

    def __init__(self, scene=None) -> None:
        self._scene = scene
        self._sessions = KeptSessions()

    @property
    def scene(self):
        """The MRML scene that results go to where no node tells."""
        return self._scene if self._scene is not None else slicer.mrmlScene

    def explain(
        self,
        volumeNode,
        modelPath,
        layer="auto",
        method="grad_cam",
        target=None,
        progress=None,
        *,
        className=None,
        component: bool = False,
        spec=None,
        device: str = "auto",
        region=None,
        batchSize: int | None = None,
        show: bool = True,
        opacity: float = 0.5,
        hiddenFraction: float = 0.1,
        **options,
    ):
        """Show where a network looked; returns when it is done.

            overlay = logic.explain(t1, "model.pt", target="tumor", layer="up1")
            overlay = logic.explain(t1, "model.pt", target=pointNode, component=True)
            overlays = logic.explain([t1, t2], "model.pt", method=["grad_cam", "hires_cam"])
            overlay = logic.explain(t1, "model.pt", spec={"patch_size": [8, 8, 8]}, region=roiNode)

        Args:
            volumeNode: the scan, or a list of volumes on one grid: the model's channels in order.
            modelPath: a model file, or what `attention_maps.load_model` takes.
            layer: name of a layer, "auto", "auto:bottleneck", "all", or several.
            method: name of a method, or several.
            target: what is asked: None for the likeliest class, a class name or index, a point
                (markups node), a ROI node, a segment (segmentationNode, segmentId), a target of
                the engine, or a list of these.
            progress: called with a fraction 0..1 and a message; returning False cancels.
            className: class that a point, ROI or segment is asked about; None for the predicted.
            component: ask about the whole predicted component under the point.
            spec: what the network expects; None for the sidecar beside the model file.
            device: "auto", "cpu", "cuda", ...
            region: ROI node or segment (segmentationNode, segmentId); windows that hold nothing of
                it are not run, and nothing is predicted there. For models that see the volume in
                windows.
            batchSize: inputs per batch of perturbation methods; None for as many as fit.
            show: lay the first map over the scan in the slice views.
            opacity: of the map over the scan, 0..1.
            hiddenFraction: values below this share of the largest absolute one are not drawn.
            options: of the method; and of `attention_maps.load_model`: configuration, folds,
                checkpoint, trust, previousStage (a file or a volume node).

        Returns:
            The overlay, a `vtkMRMLScalarVolumeNode` on the scan's voxels; a list of them where
            layer, method or target names several.

        Raises:
            AttentionMapsError: One of its kinds, in one readable line; the scene stays as it was.
        """
        volumeNodes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        ofModel, ofMethod = LoadOptions.split(options)
        kept = self._kept(volumeNodes, modelPath, spec, device, ofModel, region)
        scanNode, scene = volumeNodes[0], volumeNodes[0].GetScene()
        asked = MapTargets.question(
            target,
            scanNode,
            axes=kept.explainer.source.ndim,
            className=className,
            component=component,
        )
        made = kept.explainer.explain(
            method, layer, MapTargets.engineTarget(asked), progress, batch_size=batchSize,
            **ofMethod,
        )  # fmt: skip
        results = made if isinstance(made, list) else [made]
        with removeNewNodesOnError(scene):
            nodes = [
                ResultNodes.addMap(result, scanNode, hiddenFraction=hiddenFraction)
                for result in results
            ]
            record = QuestionRecord.Record(
                tuple(volumeNodes), modelPath, plainTarget(asked), spec, ofModel, region
            )
            for node in nodes:
                QuestionRecord.keep(node, record)
            answerNode = self._answerNode(kept, scanNode)
            for node in nodes:
                if answerNode is not None:
                    node.SetNodeReferenceID(ResultNodes.ANSWER_ROLE, answerNode.GetID())
            if show:
                self.show(nodes[0], opacity=opacity)
        for node, result in zip(nodes, results, strict=True):
            logging.info("%s: score %.6g", node.GetName(), result.score)
        return nodes if isinstance(made, list) else nodes[0]

    def session(
        self,
        volumeNodes: list,
        modelPath,
        *,
        spec=None,
        device: str = "auto",
        region=None,
        **options,
    ):
        """Return the kept session (`KeptSession`) of a model and volumes as they are now.

            logic.session([t1], "model.pt").answer.classes

        Its `answer` holds class names and labels, its `explainer` is the engine's own session.

        Args:
            volumeNodes: the model's channels in order.
            modelPath, spec, device, region: as in `explain`.
            options: of `attention_maps.load_model`, as in `explain`.
        """
        ofModel, others = LoadOptions.split(options)
        if others:
            raise TypeError(f"Expected options of a model, got {', '.join(others)}.")
        return self._kept(volumeNodes, modelPath, spec, device, ofModel, region)

    def estimate(self, volumeNode, modelPath, layer="auto", **options):
        """Return what a question will take, once the model is loaded and a window was run.

            print(logic.estimate(t1, "model.pt"))     # 128 windows, about 2.1 GiB, 40 s

        Args:
            volumeNode, modelPath, layer: as in `explain`.
            options: as in `session`.

        Returns:
            An `attention_maps.estimate.Estimate`: windows, bytes, seconds.
        """
        volumeNodes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        return self.session(volumeNodes, modelPath, **options).explainer.estimate(layer)

    def _kept(self, volumeNodes: list, modelPath, spec, device, ofModel: dict, region):
        """Return the kept session of options that were split."""
        ensureEngine()
        from attention_maps.errors import ImageError

        if not volumeNodes:
            raise ImageError("Expected at least one volume, got an empty list; choose a volume.")
        return self._sessions.of(
            volumeNodes, modelPath, spec=spec, device=device, options=ofModel, region=region
        )

    def forget(self) -> None:
        """Give the memory of kept models and forward passes back; ends the worker of scripts.

        logic.forget()
        """
        self._sessions.clear()
        self._closeWorker()

    def _answerNode(self, kept, scanNode):
        """Return the segmentation of the session's answer, made on the first question."""
        scene = scanNode.GetScene()
        if kept.answerNode is None or not scene.IsNodePresent(kept.answerNode):
            kept.answerNode = ResultNodes.answerNode(
                kept.answer, scanNode, kept.explainer.model.name
            )
        return kept.answerNode

"""What the panel keeps in the scene: saved with it, and restored from it."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class SlicerAttentionMapsParameterNode:
    """The panel's choices.

    Attributes:
        volumes: the scan, or one volume per channel of the model.
        modelPath: model file or folder.
        specification: edited specification as JSON; empty for the sidecar beside the model.
        modelOptions: configuration, folds, checkpoint and mirroring of a model folder as JSON.
        regionNode: box that runs over windows are limited to.
        where: what part of the answer is asked about.
        className: class that is asked about; empty for the likeliest, or what is predicted there.
        otherClassName: of a contrast, the class that it is held against.
        pointNode: point of a component or point question.
        roiNode: box of a ROI question.
        segmentationNode: of a segment question.
        segmentId: of a segment question.
        method: name of the method.
        options: the methods' options as JSON, by method and name.
        layers: names of layers as a JSON list; "auto" and "all" are names, too.
        currentMap: the map that the Result section is about.
        opacity: of the map over the scan, 0..1.
        hiddenFraction: values below this share of the largest absolute one are not drawn.
        smooth: whether voxels are interpolated in the views.
        legend: whether a color legend is shown.
        commonScale: whether all maps share one color range.
        truthNode: segmentation with the ground truth.
        truthSegments: IDs of its segments as a JSON list; empty for all.
        threshold: where a map's region ends, for its segmentation: "otsu" or a share.
        compareThreshold: where it ends for metrics and hot spots, as `attention_maps.evaluate`
            takes it.
        compareSign: what counts of signed maps, as `attention_maps.evaluate` takes it.
        compareMaps: which maps are compared with the ground truth.
        metrics: names of the metrics as a JSON list; empty for all.
        metricOptions: their options as JSON, by name.
        spotsMinimum: smaller hot spots are left out, ml.
        spotsMost: how many hot spots at most; 0 for all.
        sweepLayers: which layers are tried: "all" or "chosen".
        sweepMethods: names of the methods that are tried as a JSON list; empty for the quick ones.
        sweepMetric: name of the metric that is shown of them.
        sweepSegment: name of the segment that is shown of them.
        trustTests: names of the tests as a JSON list; empty for all.
        tableNode: the table that is shown.
        plotColumn: what is plotted of it; empty for the usual.
    """

    volumes: list[slicer.vtkMRMLVolumeNode]
    modelPath: str = ""
    specification: str = ""
    modelOptions: str = ""
    regionNode: slicer.vtkMRMLMarkupsROINode
    where: Annotated[str, Choice(["class", "component", "segment", "roi", "point", "contrast"])] = (
        "class"
    )
    className: str = ""
    otherClassName: str = ""
    pointNode: slicer.vtkMRMLMarkupsFiducialNode
    roiNode: slicer.vtkMRMLMarkupsROINode
    segmentationNode: slicer.vtkMRMLSegmentationNode
    segmentId: str = ""
    method: str = "grad_cam"
    options: str = "{}"
    layers: str = '["auto"]'
    currentMap: slicer.vtkMRMLScalarVolumeNode
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    hiddenFraction: Annotated[float, WithinRange(0.0, 0.99)] = 0.1
    smooth: bool = True
    legend: bool = True
    commonScale: bool = False
    truthNode: slicer.vtkMRMLSegmentationNode
    truthSegments: str = "[]"
    threshold: str = "0.5"
    compareThreshold: str = "otsu"
    compareSign: Annotated[str, Choice(["positive", "negative", "absolute"])] = "positive"
    compareMaps: Annotated[str, Choice(["all", "current"])] = "all"
    metrics: str = "[]"
    metricOptions: str = "{}"
    spotsMinimum: Annotated[float, WithinRange(0.0, 10000.0)] = 0.0
    spotsMost: Annotated[int, WithinRange(0, 999)] = 0
    sweepLayers: Annotated[str, Choice(["all", "chosen"])] = "all"
    sweepMethods: str = "[]"
    sweepMetric: str = ""
    sweepSegment: str = ""
    trustTests: str = "[]"
    tableNode: slicer.vtkMRMLTableNode
    plotColumn: str = ""

"""What a person points at, as targets of the engine."""

import numpy as np

from . import PlaceBridge, VolumeBridge
from .EnginePath import ensureEngine

POINTS = "vtkMRMLMarkupsFiducialNode"
ROI = "vtkMRMLMarkupsROINode"
SEGMENTATION = "vtkMRMLSegmentationNode"


def engineTarget(target, session, referenceNode, *, className=None, component: bool = False):
    """Return what `Explainer.explain` takes as target.

    Args:
        target: a point (markups node, its last point counts), a ROI node, or a segment
            (segmentationNode, segmentId); several of anything as a list. All else is the engine's:
            None, class name or index, `ClassTarget`, ...
        session: the `attention_maps.Explainer` that is asked.
        referenceNode: the volume that is explained.
        className: the class that is asked about in that place; None for the one that is predicted
            most there (background only where nothing else is).
        component: of a point, ask about the whole predicted component it lies in.

    Raises:
        TargetError: If the place is empty, or outside the volume.
    """
    ensureEngine()
    import attention_maps as am

    if isinstance(target, list):
        options = {"className": className, "component": component}
        return [engineTarget(item, session, referenceNode, **options) for item in target]
    if _isNode(target, POINTS):
        point = PlaceBridge.pointFromMarkup(target)
        if className is None:
            className = _classAt(point, session.answer())
        kind = am.ComponentTarget if component else am.PointTarget
        return kind(className, ras=point)
    mask = placeMask(target, referenceNode)
    if mask is None:
        return _checked(target, className)
    if session.source.ndim == 2:
        mask = VolumeBridge.maskOnPicture(mask, referenceNode)
    if className is None:
        className = _classWithin(mask, session.answer())
    return am.RegionTarget(className, mask)


def placeMask(target, referenceNode):
    """Return the mask Image of a segment or ROI node; None if the target is neither."""
    if isinstance(target, tuple) and len(target) == 2 and _isNode(target[0], SEGMENTATION):
        return PlaceBridge.maskFromSegment(*target)
    if _isNode(target, ROI):
        return PlaceBridge.maskFromRoi(target, referenceNode)
    return None


def _checked(target, className):
    """Return an engine target as it is; a bare class name may also come as `className`."""
    from attention_maps.errors import TargetError

    if hasattr(target, "GetClassName"):
        raise TargetError(
            f"Expected a markups point list, a ROI or (segmentation, segment ID) as target, got "
            f"'{target.GetName()}' ({target.GetClassName()})."
        )
    if target is not None and className is not None:
        raise TargetError(
            "Expected className only beside a point, segment or ROI, got it beside another target; "
            "leave one of them out."
        )
    return className if target is None else target


def _classAt(point, answer) -> int:
    """Return the class that is predicted at a point."""
    from attention_maps.errors import TargetError
    from attention_maps.places import voxel_at

    if answer.task != "segmentation":
        raise TargetError(
            "A point asks about a place, but this network gives one answer for the whole image; "
            "ask about a class."
        )
    where = np.zeros(answer.grid.shape, dtype=bool)
    where[voxel_at(point, answer)] = True
    return _mostPredicted(where, answer)


def _classWithin(mask, answer) -> int:
    """Return the class that is predicted most within a mask, background only if it is alone."""
    from attention_maps.errors import TargetError

    if answer.task != "segmentation":
        raise TargetError(
            "A region asks about a place, but this network gives one answer for the whole image; "
            "ask about a class."
        )
    return _mostPredicted(answer.to_grid(mask), answer)


def _mostPredicted(where: np.ndarray, answer) -> int:
    inside = answer.tensor(where)
    sizes = [int((answer.predicted(index) & inside).sum()) for index in range(answer.classes)]
    classes = [index for index in range(answer.classes) if index != answer.background]
    best = max(classes, key=lambda index: sizes[index])
    if sizes[best] == 0:  # nothing but background there: ask about the largest class
        return next((index for index in answer.ranking() if index != answer.background), best)
    return best


def _isNode(candidate, className: str) -> bool:
    return hasattr(candidate, "IsA") and bool(candidate.IsA(className))

"""What a person points at, as questions of the engine."""

from . import PlaceBridge, VolumeBridge
from .EnginePath import ensureEngine

POINTS = "vtkMRMLMarkupsFiducialNode"
ROI = "vtkMRMLMarkupsROINode"
SEGMENTATION = "vtkMRMLSegmentationNode"


def question(target, referenceNode, *, axes=3, className=None, component: bool = False):
    """Return a target of nodes as plain data, which the engine's worker takes, too.

    Classes that are not named stay None: the engine takes those that the network predicts.

    Args:
        target: a point (markups node, its last point counts), a ROI node, or a segment
            (segmentationNode, segmentId); several of anything as a list. All else is the engine's:
            None, class name or index, `ClassTarget`, a dict as the one returned, whose classes may
            be None: of a place the one predicted there, of a contrast the likeliest and the next.
        referenceNode: the volume that is explained.
        axes: number of the network's spatial axes, 2 or 3.
        className: the class that is asked about in that place; None for the one that is predicted
            most there (background only where nothing else is).
        component: of a point, ask about the whole predicted component it lies in.

    Returns:
        A dict such as {"kind": "point", "name": 2, "ras": (r, a, s)}; "region" has a "mask", an
        `attention_maps.Image`, and the name of the "place". What is the engine's already comes back
        as it is.

    Raises:
        TargetError: If the place is empty, or outside the volume.
    """
    ensureEngine()
    if isinstance(target, list):
        options = {"axes": axes, "className": className, "component": component}
        return [question(item, referenceNode, **options) for item in target]
    if isinstance(target, dict):
        return None if target == {"kind": "class", "name": None} else target
    if _isNode(target, POINTS):
        point = PlaceBridge.pointFromMarkup(target)
        kind = "component" if component else "point"
        return {"kind": kind, "name": className, "ras": point}
    mask = placeMask(target, referenceNode)
    if mask is None:
        return _checked(target, className)
    if axes == 2:
        mask = VolumeBridge.maskOnPicture(mask, referenceNode)
    return {"kind": "region", "name": className, "mask": mask, "place": _placeName(target)}


def engineTarget(asked):
    """Return what `question` gave as targets of the engine in this process."""
    import attention_maps as am

    if isinstance(asked, list):
        return [engineTarget(item) for item in asked]
    if not isinstance(asked, dict):
        return asked
    kinds = {
        "class": am.ClassTarget,
        "point": am.PointTarget,
        "component": am.ComponentTarget,
        "region": am.RegionTarget,
        "contrast": am.ContrastTarget,
        "top": am.TopTarget,
    }
    return kinds[asked["kind"]](**{key: value for key, value in asked.items() if key != "kind"})


def placeMask(target, referenceNode):
    """Return the mask Image of a segment or ROI node; None if the target is neither.

    Raises:
        TargetError: If there is not a single voxel in it.
    """
    if isinstance(target, tuple) and len(target) == 2 and _isNode(target[0], SEGMENTATION):
        return _filled(PlaceBridge.maskFromSegment(*target), target)
    if _isNode(target, ROI):
        return PlaceBridge.maskFromRoi(target, referenceNode)
    return None


def _filled(mask, target):
    """Return the mask of a segment, which must not be empty."""
    from attention_maps.errors import TargetError

    if not mask.array.any():
        raise TargetError(
            f"Segment '{_placeName(target)}' has no voxels; draw it first, or choose another."
        )
    return mask


def _placeName(target) -> str:
    """Return what a segment or ROI is called."""
    if isinstance(target, tuple):
        segmentationNode, segmentId = target
        return segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
    return target.GetName()


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


def _isNode(candidate, className: str) -> bool:
    return hasattr(candidate, "IsA") and bool(candidate.IsA(className))

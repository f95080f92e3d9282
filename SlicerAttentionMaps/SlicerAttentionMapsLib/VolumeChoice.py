"""What the panel wants to know of a volume, without looking at its voxels."""

import slicer

from .i18n import _
from .Panel.ChannelGuess import guessChannels
from .Panel.InputPanel import VolumeFacts
from .ResultNodes import PROVENANCE_ATTRIBUTE
from .SceneSetup import nodesByClass

VOLUME_EVENTS = (
    slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
)


def factsOf(node) -> VolumeFacts:
    """Return what is known of a volume node."""
    name, image = node.GetName(), node.GetImageData()
    if image is None or 0 in image.GetDimensions():
        problem = _("'{name}' holds no voxels.").format(name=name)
        return VolumeFacts(node.GetID(), name, problem=problem)
    return VolumeFacts(
        node.GetID(),
        name,
        tuple(image.GetDimensions()),
        tuple(node.GetSpacing()),
        image.GetNumberOfScalarComponents(),
        _transformProblem(node),
    )


def explainable(scene) -> list:
    """Return the volumes of a scene that a person may want to explain: no maps, no label maps."""
    return [
        node
        for node in nodesByClass(scene, "vtkMRMLVolumeNode")
        if node.GetAttribute(PROVENANCE_ATTRIBUTE) is None
        and not node.IsA("vtkMRMLLabelMapVolumeNode")
        and node.GetImageData() is not None
        and not node.GetHideFromEditors()
    ]


def shownInViews(scene):
    """Return the volume that lies in the background of the first slice view that shows one."""
    for view in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        volume = scene.GetNodeByID(view.GetBackgroundVolumeID() or "")
        if volume is not None:
            return volume
    return None


def suggested(scene, channels: tuple[str, ...], chosen: list) -> list:
    """Return a volume for each channel: those that are chosen, and guesses where none is.

    Args:
        scene: where volumes are looked for.
        channels: names of the model's channels; of a single one the name does not matter.
        chosen: the volume of each channel, None where none is chosen; one alone may be any of them.
    """
    volumes = explainable(scene)
    present = [node for node in chosen if node is not None]
    if len(channels) == 1:
        likely = [node for node in (shownInViews(scene), *volumes[:1]) if node in volumes]
        return [*present, *likely, None][:1]
    like = present[0].GetName() if present else ""
    # Another number of volumes was chosen for another model, or for none yet.
    kept = list(chosen) if len(chosen) == len(channels) else [None] * len(channels)
    left = [node for node in volumes if node not in kept]
    guesses = guessChannels(channels, [node.GetName() for node in left], like=like)
    return [
        node if node is not None else (None if guess is None else left[guess])
        for node, guess in zip(kept, guesses, strict=True)
    ]


def _transformProblem(node) -> str:
    transform = node.GetParentTransformNode()
    if transform is None or transform.IsTransformToWorldLinear():
        return ""
    return _(
        "'{name}' is under a transform that bends space: harden it (module Data) or take the "
        "volume out of it."
    ).format(name=node.GetName())

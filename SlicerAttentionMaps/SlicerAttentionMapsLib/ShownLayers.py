"""Remembers what the slice views show, to bring it back later."""

from dataclasses import dataclass

from .SceneSetup import nodesByClass
from .SliceViews import layersEnd


@dataclass(frozen=True)
class ShownLayers:
    """What one slice view shows.

    Attributes:
        view: its composite node.
        background: ID of a volume, or None.
        layers: (ID or None, opacity 0..1) of what lies over it, the lowest first.
    """

    view: object
    background: str | None
    layers: tuple[tuple[str | None, float], ...]

    def bringBack(self) -> None:
        """Show it again; volumes that were removed since are left out."""
        view, modified = self.view, self.view.StartModify()
        view.SetBackgroundVolumeID(_present(view, self.background))
        for layer in range(view.Layer_Last, layersEnd(view)):
            view.SetNthLayerVolumeID(layer, None)
        for number, (volumeId, opacity) in enumerate(self.layers):
            layer = view.Layer_Last + number - 1 if number else view.LayerForeground
            view.SetNthLayerVolumeID(layer, _present(view, volumeId))
            view.SetNthLayerOpacity(layer, opacity)
        view.EndModify(modified)


def shownLayers(scene) -> list[ShownLayers]:
    """Return what all slice views show now."""
    return [
        ShownLayers(
            view,
            view.GetBackgroundVolumeID(),
            tuple((view.GetNthLayerVolumeID(n), view.GetNthLayerOpacity(n)) for n in _over(view)),
        )
        for view in nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    ]


def _over(view) -> list[int]:
    """Return the indices of the layers over the background: foreground, then additional ones."""
    return [view.LayerForeground, *range(view.Layer_Last, layersEnd(view))]


def _present(view, volumeId):
    scene = view.GetScene()
    isThere = scene is not None and volumeId and scene.GetNodeByID(volumeId) is not None
    return volumeId if isThere else None

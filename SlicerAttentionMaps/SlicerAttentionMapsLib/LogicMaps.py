"""What is done with maps that were made: list, show, rename, remove, scrub through layers."""

import logging

from . import Display, LayerSequence, LiveMap, MapRendering, Maps, MapStyle, SliceViews
from .EnginePath import ensureEngine
from .SceneTransaction import removeNewNodesOnError


class MapActions:
    """Actions on maps; of the logic, which knows the scene."""

    def maps(self) -> list:
        """Return all maps of the scene, the oldest first; those of a reloaded scene, too.

        The one that follows the crosshair is none of them.

            names = [node.GetName() for node in logic.maps()]
        """
        return [node for node in Maps.mapsOf(self.scene) if not LiveMap.isLive(node)]

    def shownMaps(self) -> list:
        """Return the maps that the slice views show, the one on top last.

        top = logic.shownMaps()[-1]
        """
        return Maps.shown(self.scene)

    def show(
        self, mapNode, *, opacity: float = 0.5, legend: bool = True, alone: bool = True
    ) -> None:
        """Lay a map over its scan in all slice views; the views and the scan's window stay.

            logic.show(overlay, opacity=0.7)
            logic.show(overlay, alone=False)

        Args:
            mapNode: the map.
            opacity: of the maps over the scan, 0..1.
            legend: whether a color legend is shown; of several maps that of the lowest.
            alone: whether other maps are hidden; if not, this one lies on top of them.
        """
        ensureEngine()
        Maps.show(mapNode, opacity=opacity, legend=legend, alone=alone)

    def hide(self, mapNode, *, legend: bool = True) -> None:
        """Take a map out of the slice views; `legend` is about the maps that are left.

        logic.hide(overlay)
        """
        Maps.hide(mapNode, legend=legend)

    def caption(self, mapNode) -> str:
        """Return what a map shows in words: question, method, layer, score, "no evidence".

        words = logic.caption(overlay)
        """
        return Maps.caption(mapNode)

    def rename(self, mapNode, name: str) -> None:
        """Give a map another name.

        logic.rename(overlay, "T1 | brain | first try")
        """
        Maps.rename(mapNode, name)

    def remove(self, mapNode) -> None:
        """Remove a map with its legend, its 3D rendering and its layers.

        logic.remove(overlay)
        """
        name = mapNode.GetName()
        Maps.remove(mapNode)
        logging.info("Removed %s", name)

    def removeAll(self) -> None:
        """Remove all maps; scans, answers and what was measured stay.

        logic.removeAll()
        """
        for mapNode in self.maps():
            Maps.remove(mapNode)
        logging.info("Removed all maps")

    def setOpacity(self, opacity: float) -> None:
        """Set the opacity of the maps over the scan, 0..1.

        logic.setOpacity(0.7)
        """
        SliceViews.setOpacity(self.scene, opacity)

    def opacity(self) -> float | None:
        """Return the opacity of the maps over the scan; None where there are no slice views.

        logic.setOpacity(1 - (logic.opacity() or 0))
        """
        return SliceViews.opacityOf(self.scene)

    def setHiddenFraction(self, mapNode, fraction: float) -> None:
        """Hide values below a share of the largest absolute one, in slice and 3D views.

        logic.setHiddenFraction(overlay, 0.3)
        """
        MapStyle.setHiddenFraction(mapNode, fraction)
        self._restyle(mapNode)

    def setColorTable(self, mapNode, colorNode=None) -> None:
        """Take a map's colors from another color node, or its ID; None for its method's own.

            logic.setColorTable(overlay, "vtkMRMLColorTableNodeFileViridis.txt")
            logic.setColorTable(overlay)

        Of a signed map the middle of the table stands for 0, and is hidden.
        """
        colorNodeId = colorNode.GetID() if hasattr(colorNode, "GetID") else colorNode
        MapStyle.setColorTable(mapNode, colorNodeId or "")
        self._restyle(mapNode)

    def setSmooth(self, mapNode, smooth: bool = True) -> None:
        """Interpolate between voxels, or show them as they are.

        logic.setSmooth(overlay, False)
        """
        MapStyle.displayNodeOf(mapNode).SetInterpolate(smooth)
        MapRendering.update(mapNode)

    def showLegend(self, mapNode, visible: bool = True) -> None:
        """Show or hide a map's color legend; there is one at a time.

        Slicer draws it in the slice views whose foreground or background the map is.

        logic.showLegend(overlay, False)
        """
        Maps.showLegend(mapNode, visible)

    def setCommonScale(self, mapNodes) -> float:
        """Give several maps one color range; returns its largest value.

        logic.setCommonScale(overlays)
        """
        scale = Display.setCommonScale(mapNodes)
        for mapNode in mapNodes:
            MapRendering.update(mapNode)
        Maps.renewLegend(self.scene)
        return scale

    def setOwnScale(self, mapNodes) -> None:
        """Give each of several maps the color range of its own values.

        logic.setOwnScale(overlays)
        """
        Display.setOwnScale(mapNodes)
        for mapNode in mapNodes:
            MapRendering.update(mapNode)
        Maps.renewLegend(self.scene)

    def showIn3D(self, mapNode, visible: bool = True) -> None:
        """Show a map in the 3D views as volume rendering, or hide it.

        logic.showIn3D(overlay)
        """
        if visible:
            with removeNewNodesOnError(mapNode.GetScene()):
                MapRendering.show(mapNode)
        else:
            MapRendering.hide(mapNode)

    def isShownIn3D(self, mapNode) -> bool:
        """Return whether the 3D views show a map.

        logic.showIn3D(overlay, not logic.isShownIn3D(overlay))
        """
        return MapRendering.isShown(mapNode)

    def jumpToMaximum(self, mapNode):
        """Cut the slice views through a map's largest absolute value.

            position = logic.jumpToMaximum(overlay)

        Returns:
            Its world RAS position (3,) in mm; None where the map is zero everywhere.
        """
        return SliceViews.jumpToMaximum(mapNode)

    def layerSequence(self, mapNodes):
        """Make one map with a choice of layers of several maps of one scan.

            stacked = logic.layerSequence(overlays)

        Returns:
            The first map, which now shows one layer of a `vtkMRMLSequenceNode` and can be scrubbed
            with Slicer's sequence browser, too; the other maps are removed.
        """
        ensureEngine()
        with removeNewNodesOnError(self.scene):
            return Maps.stackLayers(list(mapNodes))

    def groupLayers(self, mapNodes) -> list:
        """Make one map with a choice of layers of all that differ in nothing but their layer.

        overlays = logic.groupLayers(overlays)
        """
        groups = Maps.groupsOfLayers(mapNodes)
        return [self.layerSequence(group) if len(group) > 1 else group[0] for group in groups]

    def layers(self, mapNode) -> list[str]:
        """Return the names of a map's layers, in the order of the network.

        names = logic.layers(overlay)
        """
        return LayerSequence.layers(mapNode)

    def layerIndex(self, mapNode) -> int:
        """Return which of its layers a map shows, from 0.

        name = logic.layers(overlay)[logic.layerIndex(overlay)]
        """
        return LayerSequence.layerIndex(mapNode)

    def showLayer(self, mapNode, layer: int | str) -> None:
        """Show another layer of a map, by its name or number from 0.

        logic.showLayer(overlay, 0)
        """
        ensureEngine()
        LayerSequence.showLayer(mapNode, layer)
        MapRendering.update(mapNode)
        if Display.isLegendShown(mapNode):
            Maps.showLegend(mapNode, visible=True)

    def _restyle(self, mapNode) -> None:
        MapStyle.apply(mapNode)
        MapRendering.update(mapNode)

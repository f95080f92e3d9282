"""The Result section."""

import slicer

from .. import MapStyle
from ..Binding import apply
from ..Display import isLegendShown
from ..i18n import _
from ..Panel.ResultPanel import (
    MapFacts,
    ResultState,
    controls,
    mapAfter,
    rows,
    thresholdValue,
)
from .MapsList import MapsList
from .MapsObserver import MapsObserver


class ResultSection:
    """Binds the section's widgets; what they show of a map is read from the map.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._list = MapsList(panel, self)
        self._observer = MapsObserver(panel)
        ui, guarded = panel.ui, panel.guarded
        ui.topButton.connect("clicked()", guarded(self.onTop))
        ui.removeMapButton.connect("clicked()", guarded(self.onRemove))
        ui.removeAllMapsButton.connect("clicked()", guarded(self.onRemoveAll))
        ui.layerScrubSlider.connect("valueChanged(int)", guarded(self.onLayer))
        ui.opacitySlider.connect("valueChanged(double)", guarded(self.onOpacity))
        ui.hiddenSlider.connect("valueChanged(double)", guarded(self.onHidden))
        ui.colorTableComboBox.connect(
            "currentNodeChanged(vtkMRMLNode*)", guarded(self.onColorTable)
        )
        ui.ownColorsButton.connect("clicked()", guarded(lambda: self.onColorTable(None)))
        ui.smoothCheckBox.connect("toggled(bool)", guarded(self.onSmooth))
        ui.legendCheckBox.connect("toggled(bool)", guarded(self.onLegend))
        ui.commonScaleCheckBox.connect("toggled(bool)", guarded(self.onCommonScale))
        ui.render3DCheckBox.connect("toggled(bool)", guarded(self.on3D))
        ui.regionShareSlider.connect("valueChanged(double)", guarded(self.onShare))
        ui.regionOtsuCheckBox.connect("toggled(bool)", guarded(self.onOtsu))
        ui.jumpButton.connect("clicked()", guarded(self.onJump))
        ui.segmentButton.connect("clicked()", guarded(self.onSegment))
        ui.boxButton.connect("clicked()", guarded(self.onBox))

    def currentMap(self):
        """Return the map that the section is about: the chosen one, or the newest."""
        maps = self._panel.logic.maps()
        chosen = self._panel.parameters.currentMap
        if chosen is not None and chosen in maps:
            return chosen
        return maps[-1] if maps else None

    def state(self) -> ResultState:
        """Return what the section knows, read from the maps in the scene."""
        logic, parameters = self._panel.logic, self._panel.parameters
        mapNode = self.currentMap()
        if mapNode is None:
            return ResultState(threshold=parameters.threshold)
        style, opacity = MapStyle.styleOf(mapNode), logic.opacity()
        return ResultState(
            maps=self._facts(),
            current=mapNode.GetID(),
            opacity=parameters.opacity if opacity is None else opacity,
            hiddenFraction=style.hiddenFraction,
            scale=style.maximum,
            signed=style.signed,
            colorTable=MapStyle.colorTableOf(mapNode).GetID(),
            ownColors=MapStyle.hasOwnColors(mapNode),
            smooth=bool(MapStyle.displayNodeOf(mapNode).GetInterpolate()),
            legend=self._legend(),
            commonScale=parameters.commonScale,
            in3D=logic.isShownIn3D(mapNode),
            layers=tuple(logic.layers(mapNode)),
            layer=logic.layerIndex(mapNode),
            threshold=parameters.threshold,
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        ui, result = self._panel.ui, state.result
        if len(result.layers) > 1 and ui.layerScrubSlider.maximum != len(result.layers) - 1:
            blocked = ui.layerScrubSlider.blockSignals(True)
            ui.layerScrubSlider.maximum = len(result.layers) - 1
            ui.layerScrubSlider.blockSignals(blocked)
        self._list.show(rows(result), result.current)
        apply(ui, controls(state))
        self._observer.watch(self._panel.logic.maps())

    def mapsMade(self, nodes) -> list:
        """Take over new maps: layers of one question become one map that can be scrubbed.

        Returns:
            The maps that are left.
        """
        logic, parameters = self._panel.logic, self._panel.parameters
        maps = logic.groupLayers(nodes)
        parameters.currentMap = maps[0]
        logic.setOpacity(parameters.opacity)
        for mapNode in maps:
            logic.setSmooth(mapNode, parameters.smooth)
            logic.setHiddenFraction(mapNode, parameters.hiddenFraction)
        if parameters.commonScale:
            logic.setCommonScale(logic.maps())
        if not parameters.legend:
            logic.showLegend(maps[0], False)
        self._panel.requestRefresh()
        return maps

    def choose(self, nodeId: str) -> None:
        """Make a map the one that the section is about; one that is seen comes to the top."""
        mapNode = slicer.mrmlScene.GetNodeByID(nodeId)
        self._panel.parameters.currentMap = mapNode
        if mapNode in self._panel.logic.shownMaps():
            self._show(mapNode, alone=False)

    def setShown(self, nodeId: str, shown: bool) -> None:
        """Show a map over the others that are seen, or hide it."""
        mapNode = slicer.mrmlScene.GetNodeByID(nodeId)
        if shown:
            self._show(mapNode, alone=False)
        else:
            self._panel.logic.hide(mapNode, legend=self._panel.parameters.legend)

    def rename(self, nodeId: str, name: str) -> None:
        """Give a map another name."""
        self._panel.logic.rename(slicer.mrmlScene.GetNodeByID(nodeId), name)

    def onTop(self) -> None:
        """Lay the chosen map over the others."""
        self._show(self.currentMap(), alone=False)

    def onRemove(self) -> None:
        """Remove the chosen map; the next one in the list is chosen then."""
        mapNode = self.currentMap()
        if mapNode is None:
            return
        name, following = mapNode.GetName(), mapAfter(self.state())
        self._panel.logic.remove(mapNode)
        self._panel.parameters.currentMap = slicer.mrmlScene.GetNodeByID(following)
        self._panel.log(_("Removed '{name}'").format(name=name))

    def onRemoveAll(self) -> None:
        """Remove all maps."""
        self._panel.logic.removeAll()
        self._panel.log(_("Removed all maps"))

    def onLayer(self, index: int) -> None:
        """Show another layer of the chosen map."""
        self._panel.logic.showLayer(self.currentMap(), index)
        self._panel.requestRefresh()

    def onOpacity(self, opacity: float) -> None:
        """Set the opacity of all maps."""
        self._panel.parameters.opacity = opacity
        self._panel.logic.setOpacity(opacity)

    def onHidden(self, fraction: float) -> None:
        """Hide the weakest values of the chosen map, of all maps with a common scale."""
        logic, parameters = self._panel.logic, self._panel.parameters
        parameters.hiddenFraction = fraction
        for mapNode in logic.maps() if parameters.commonScale else [self.currentMap()]:
            logic.setHiddenFraction(mapNode, fraction)

    def onColorTable(self, colorNode) -> None:
        """Take the chosen map's colors from a table; None for its method's own."""
        mapNode = self.currentMap()
        if mapNode is None:  # the scene was closed, and the color tables with it
            return
        colorId = colorNode.GetID() if colorNode is not None else ""
        self._panel.logic.setColorTable(mapNode, colorId)
        self._panel.requestRefresh()

    def onSmooth(self, smooth: bool) -> None:
        """Interpolate all maps, or show their voxels."""
        self._panel.parameters.smooth = smooth
        for mapNode in self._panel.logic.maps():
            self._panel.logic.setSmooth(mapNode, smooth)
        self._panel.requestRefresh()

    def onLegend(self, visible: bool) -> None:
        """Show or hide the legend of the maps that are seen."""
        self._panel.parameters.legend = visible
        shown = self._panel.logic.shownMaps()
        if shown:
            self._panel.logic.showLegend(shown[0], visible)

    def onCommonScale(self, common: bool) -> None:
        """Give all maps one color range, or each its own."""
        logic = self._panel.logic
        self._panel.parameters.commonScale = common
        if common:
            logic.setCommonScale(logic.maps())
        else:
            logic.setOwnScale(logic.maps())
        self._panel.requestRefresh()

    def on3D(self, visible: bool) -> None:
        """Show or hide the chosen map in the 3D views."""
        self._panel.logic.showIn3D(self.currentMap(), visible)
        if visible:
            _lookAtEverything()
        self._panel.requestRefresh()

    def onShare(self, share: float) -> None:
        """Set where the strongest region ends."""
        self._panel.parameters.threshold = f"{share:g}"

    def onOtsu(self, automatic: bool) -> None:
        """Find where the region ends in the values, or take the share."""
        share = self._panel.ui.regionShareSlider.value
        self._panel.parameters.threshold = "otsu" if automatic else f"{share:g}"

    def onJump(self) -> None:
        """Move the slice views to the largest absolute value."""
        position = self._panel.logic.jumpToMaximum(self.currentMap())
        self._panel.log(_("Largest value at R {0:.1f}, A {1:.1f}, S {2:.1f} mm").format(*position))

    def onSegment(self) -> None:
        """Make a segmentation of the strongest region."""
        self._measure(self._panel.logic.thresholdToSegmentation)

    def onBox(self) -> None:
        """Put a box around the strongest part."""
        self._measure(self._panel.logic.boxAroundHottest)

    def _legend(self) -> bool:
        shown = self._panel.logic.shownMaps()
        return isLegendShown(shown[0]) if shown else self._panel.parameters.legend

    def _measure(self, action) -> None:
        with slicer.util.WaitCursor():
            node = action(self.currentMap(), thresholdValue(self._panel.parameters.threshold))
        self._panel.log(_("Added '{name}'").format(name=node.GetName()))

    def _show(self, mapNode, *, alone: bool) -> None:
        logic, parameters = self._panel.logic, self._panel.parameters
        opacity = logic.opacity()
        logic.show(
            mapNode,
            opacity=parameters.opacity if opacity is None else opacity,
            legend=parameters.legend,
            alone=alone,
        )
        self._panel.requestRefresh()

    def _facts(self) -> tuple[MapFacts, ...]:
        logic = self._panel.logic
        shown = logic.shownMaps()
        return tuple(
            MapFacts(
                node.GetID(),
                node.GetName(),
                node in shown,
                bool(shown) and node is shown[-1],
                MapStyle.largestOf(node),
                logic.caption(node),
                MapStyle.isSigned(node),
            )
            for node in logic.maps()
        )


def _lookAtEverything() -> None:
    """Turn the 3D views to what is in them."""
    layoutManager = slicer.app.layoutManager()
    for index in range(layoutManager.threeDViewCount):
        view = layoutManager.threeDWidget(index).threeDView()
        view.resetFocalPoint()
        view.resetCamera()

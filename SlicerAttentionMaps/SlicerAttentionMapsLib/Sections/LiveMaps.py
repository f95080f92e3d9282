"""The Live switch: a map that follows the crosshair."""

import numpy as np

from .. import Asked, Display, LiveMap, Maps, VolumeBridge
from ..CrosshairFollower import CrosshairFollower, restoreMode
from ..i18n import _
from ..ShownLayers import shownLayers


class LiveMaps:
    """Asks a point question for every move of the crosshair, while it is on.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._follower = CrosshairFollower(self._onMove)
        self._about = None
        self._before = []
        self._topBefore = None
        self._lastError = ""
        self._title = ""
        self.sceneCame()

    @property
    def on(self) -> bool:
        """Whether the map follows."""
        return self._follower.on

    def start(self) -> None:
        """Follow the crosshair from now on."""
        scene = self._panel.logic.scene
        self._about, self._lastError, self._title = self._subject(), "", ""
        self._before = shownLayers(scene)
        withLegend = [node for node in Maps.shown(scene) if Display.isLegendShown(node)]
        self._topBefore = withLegend[-1] if withLegend else None
        self._follower.start(scene)
        self._panel.log(_("Live: the map follows the crosshair"))
        self._panel.requestRefresh()

    def stop(self) -> None:
        """Follow no more; crosshair and slice views show again what they showed before."""
        if not self.on:
            return
        self._follower.stop()
        if self._panel.worker is not None:
            self._panel.worker.stopLive()
        self._bringBack()
        self._panel.log(_("Live ended"))
        self._panel.requestRefresh()

    def sceneCame(self) -> None:
        """Bring the crosshair back that a loaded scene was saved with while Live was on."""
        if not self.on:
            restoreMode(self._panel.logic.scene)

    def stopIfAboutOthers(self) -> None:
        """Stop where the panel is about another model or other volumes than at the start."""
        if self.on and self._subject() != self._about:
            self.stop()

    def _bringBack(self) -> None:
        scene = self._panel.logic.scene
        for node in Maps.mapsOf(scene):
            if LiveMap.isLive(node):
                Maps.remove(node)
        for layers in self._before:
            layers.bringBack()
        if self._topBefore is not None and scene.IsNodePresent(self._topBefore):
            Maps.showLegend(self._topBefore, visible=True)
        self._before, self._topBefore = [], None

    def _subject(self):
        parameters = self._panel.parameters
        volumes = tuple(node.GetID() for node in parameters.volumes if node is not None)
        return parameters.modelPath, parameters.specification, volumes

    def _onMove(self, position) -> None:
        try:
            self._ask(position)
        except Exception as error:  # nobody else hears of what fails in an observer
            self._onError(error)

    def _ask(self, position) -> None:
        parameters = self._panel.parameters
        if not _isInside(parameters.volumes, position):
            return  # beside the scan there is nothing to ask about, and nothing to complain of
        asked = Asked.liveArguments(parameters)
        target = {"kind": "point", "name": asked.pop("className"), "ras": position}
        self._panel.worker.live(
            target,
            **asked,
            onMap=self._onMap,
            onError=self._onError,
            opacity=parameters.opacity,
            hiddenFraction=parameters.hiddenFraction,
        )
        self._panel.wakeWorker()

    def _onMap(self, node) -> None:
        """Forget what went wrong before: the map is there. Its legend names method and layer."""
        self._lastError = ""
        title = Maps.legendTitle(node)
        if not self.on:
            Maps.remove(node)  # it came too late
        elif title != self._title:
            self._title = title
            Maps.showLegend(node, visible=self._panel.parameters.legend)

    def _onError(self, error) -> None:
        """Say it once: over the border of the scan every move fails in the same way."""
        kind = type(error).__name__
        if kind != self._lastError:
            self._lastError = kind
            self._panel.showError(error)


def _isInside(volumeNodes, position) -> bool:
    """Return whether a world position (r, a, s) in mm lies within the first volume's voxels."""
    node = next((node for node in volumeNodes if node is not None), None)
    if node is None or node.GetImageData() is None:
        return False
    index = np.linalg.inv(VolumeBridge.worldAffine(node)) @ (*position, 1.0)
    size = np.array(node.GetImageData().GetDimensions())
    return bool((index[:3] >= -0.5).all() and (index[:3] <= size - 0.5).all())

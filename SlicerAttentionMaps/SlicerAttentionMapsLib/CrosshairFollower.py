"""Tells where the crosshair goes, and leaves it as it was found."""

import slicer

from .SceneSetup import nodesByClass

# A scene may be saved in the meantime: its crosshair says how it was shown before.
_BEFORE_ATTRIBUTE = "AttentionMaps.CrosshairModeBefore"


class CrosshairFollower:
    """Shows the crosshair and follows it while it is on.

    Args:
        onMove: called with the crosshair's world RAS position (r, a, s) in mm after each move.
    """

    def __init__(self, onMove) -> None:
        self._onMove = onMove
        self._node = None
        self._observer = None
        self._position = None

    @property
    def on(self) -> bool:
        """Whether it follows."""
        return self._node is not None

    def start(self, scene) -> None:
        """Show the crosshair, and follow it from now on."""
        self.stop()
        node = crosshairNode(scene)
        self._position = tuple(node.GetCrosshairRAS())
        mode = node.GetCrosshairMode()
        node.SetAttribute(_BEFORE_ATTRIBUTE, str(mode))
        if mode == node.NoCrosshair:
            node.SetCrosshairMode(node.ShowBasic)
        self._observer = node.AddObserver("ModifiedEvent", self._onModified)
        self._node = node

    def stop(self) -> None:
        """Follow no more; the crosshair is shown or hidden again as it was at the start."""
        if self._node is None:
            return
        node, self._node = self._node, None
        node.RemoveObserver(self._observer)
        _bringModeBack(node)

    def _onModified(self, caller, event) -> None:
        position = tuple(caller.GetCrosshairRAS())
        if position != self._position:
            self._position = position
            self._onMove(position)


def restoreMode(scene) -> None:
    """Show the crosshair as before in a scene that was saved while it was followed."""
    for node in nodesByClass(scene, "vtkMRMLCrosshairNode"):
        _bringModeBack(node)


def _bringModeBack(node) -> None:
    mode = node.GetAttribute(_BEFORE_ATTRIBUTE)
    if mode is not None:
        node.RemoveAttribute(_BEFORE_ATTRIBUTE)
        node.SetCrosshairMode(int(mode))


def crosshairNode(scene):
    """Return the scene's crosshair."""
    found = nodesByClass(scene, "vtkMRMLCrosshairNode")
    return found[0] if found else scene.AddNode(slicer.vtkMRMLCrosshairNode())

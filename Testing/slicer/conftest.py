"""What the tests of the Slicer-facing code share."""

import pytest

from slicer_phantom import Phantom, makePhantom, obliqueAffine


@pytest.fixture
def phantom() -> Phantom:
    return makePhantom(obliqueAffine())


@pytest.fixture(scope="session")
def openGl() -> None:
    """Skip tests that draw where nothing can be drawn."""
    from SlicerAttentionMapsLib import DemoScene

    if not DemoScene.hasOpenGl():
        pytest.skip("VTK finds no OpenGL here (EGL, OSMesa or a display)")

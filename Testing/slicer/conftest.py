"""What the tests of the Slicer-facing code share."""

import pytest

from slicer_phantom import Phantom, makePhantom, obliqueAffine
from slicer_places import PLACES, Place, addVolume, saveNetwork, spot


@pytest.fixture
def phantom() -> Phantom:
    return makePhantom(obliqueAffine())


@pytest.fixture
def context():
    from SlicerAttentionMapsLib import SceneSetup

    return SceneSetup.createContext()


@pytest.fixture
def scene(context):
    return context.scene


@pytest.fixture(params=PLACES)
def place(request) -> Place:
    return PLACES[request.param]


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> str:
    """A network that predicts bright spots (see `saveNetwork`)."""
    return saveNetwork(tmp_path_factory.mktemp("network") / "spots.pt")


@pytest.fixture
def viewedScene(scene):
    """The scene with the three standard slice views."""
    from SlicerAttentionMapsLib import SliceViews

    SliceViews.addStandardViews(scene)
    return scene


@pytest.fixture
def scan(scene):
    """A bright spot under nested transforms."""
    return addVolume(scene, spot(), PLACES["nested"])


@pytest.fixture
def logic(scene):
    from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

    return SlicerAttentionMapsLogic(scene)


@pytest.fixture(scope="session")
def openGl() -> None:
    """Skip tests that draw where nothing can be drawn."""
    from SlicerAttentionMapsLib import DemoScene

    if not DemoScene.hasOpenGl():
        pytest.skip("VTK finds no OpenGL here (EGL, OSMesa or a display)")

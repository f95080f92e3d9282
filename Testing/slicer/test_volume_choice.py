"""What the panel knows of volumes, and which it suggests, in a real scene."""

import numpy as np
import pytest

from slicer_places import PLACES, addSequence, addVolume, saveNetwork, spot

pytestmark = pytest.mark.slicer


@pytest.fixture
def choice():
    from SlicerAttentionMapsLib import VolumeChoice

    return VolumeChoice


@pytest.fixture
def cases(scene):
    """Volumes of two cases, in no order."""
    names = ["B_flair", "A_t1", "B_t1", "A_flair"]
    return {name: addVolume(scene, spot(), PLACES["identity"], name) for name in names}


def names(nodes) -> list:
    return [node and node.GetName() for node in nodes]


def test_facts_come_from_the_node(scene, choice):
    node = addVolume(scene, spot(), PLACES["oblique, anisotropic"], "CT")
    facts = choice.factsOf(node)
    assert (facts.key, facts.name, facts.components) == (node.GetID(), "CT", 1)
    assert facts.size == spot().shape
    assert facts.spacing == pytest.approx(node.GetSpacing())
    assert facts.problem == ""


def test_facts_of_a_volume_with_several_channels(scene, choice):
    array = np.stack([spot(), spot(), spot()])
    node = addVolume(scene, array, PLACES["identity"], "RGB", "vtkMRMLVectorVolumeNode")
    assert choice.factsOf(node).components == 3


def test_what_cannot_be_explained_is_said(scene, choice):
    import slicer

    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    assert "'Empty' holds no voxels" in choice.factsOf(empty).problem
    node = addVolume(scene, spot(), PLACES["nested"], "Scan")
    assert choice.factsOf(node).problem == ""
    warp = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    warp.SetAndObserveTransformToParent(slicer.vtkOrientedBSplineTransform())
    node.SetAndObserveTransformNodeID(warp.GetID())
    assert "bends space" in choice.factsOf(node).problem


def test_maps_label_maps_and_empty_volumes_are_not_suggested(scene, choice, logic, tmp_path):
    scan = addVolume(scene, spot(), PLACES["identity"], "Scan")
    logic.explain(scan, saveNetwork(tmp_path / "net.pt"), show=False)
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    addVolume(scene, spot(), PLACES["identity"], "Labels", "vtkMRMLLabelMapVolumeNode")
    hidden = addVolume(scene, spot(), PLACES["identity"], "Hidden")
    hidden.SetHideFromEditors(True)
    assert names(choice.explainable(scene)) == ["Scan"]


def test_the_volume_that_is_seen_is_suggested(viewedScene, choice):
    assert choice.suggested(viewedScene, ("Volume",), []) == [None]
    first = addVolume(viewedScene, spot(), PLACES["identity"], "First")
    second = addVolume(viewedScene, spot(), PLACES["identity"], "Second")
    assert choice.suggested(viewedScene, ("Volume",), []) == [first]
    composite = viewedScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(second.GetID())
    assert choice.suggested(viewedScene, ("Volume",), []) == [second]
    assert choice.suggested(viewedScene, ("Volume",), [first]) == [first]


def test_channels_are_those_of_the_chosen_case(scene, choice, cases):
    found = choice.suggested(scene, ("T1", "FLAIR"), [cases["B_flair"]])
    assert names(found) == ["B_t1", "B_flair"]
    found = choice.suggested(scene, ("T1", "FLAIR"), [cases["A_t1"]])
    assert names(found) == ["A_t1", "A_flair"]


def test_what_a_person_chose_stays(scene, choice, cases):
    chosen = [cases["B_flair"], None]  # a T1 channel, whatever its name says
    assert names(choice.suggested(scene, ("T1", "FLAIR"), chosen))[0] == "B_flair"
    both = [cases["B_flair"], cases["A_t1"]]
    assert choice.suggested(scene, ("T1", "FLAIR"), both) == both


def test_the_logic_guesses_for_scripts(logic, cases):
    assert names(logic.guessChannels(["FLAIR", "T1"], [cases["A_t1"]])) == ["A_flair", "A_t1"]


def test_the_node_that_shows_a_sequence_is_a_volume_like_any_other(scene, choice):
    shown, _choose = addSequence(scene, [spot(), spot() + 1], PLACES["identity"])
    assert shown in choice.explainable(scene)
    assert choice.factsOf(shown).problem == ""

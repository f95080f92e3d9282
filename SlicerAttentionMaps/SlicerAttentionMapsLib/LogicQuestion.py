"""What the Logic does for questions about a place."""

from . import RoiBoxes
from .SceneTransaction import removeNewNodesOnError


class QuestionActions:
    """Part of `SlicerAttentionMapsLogic`."""

    def questionBox(self, volumeNode, name: str = "Question box"):
        """Add a ROI of a third of a volume's size where the slice views cut it.

            inside = logic.explain(t1, "model.pt", target=logic.questionBox(t1))

        Returns:
            The new `vtkMRMLMarkupsROINode`, with handles to drag.
        """
        with removeNewNodesOnError(volumeNode.GetScene()):
            return RoiBoxes.addBox(volumeNode, name)

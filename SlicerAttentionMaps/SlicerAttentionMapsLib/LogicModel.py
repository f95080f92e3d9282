"""What the Logic does with models: their specification, and which volume is which channel."""

from . import Sidecar, VolumeChoice


class ModelActions:
    """Part of `SlicerAttentionMapsLogic`."""

    def saveSpecification(self, modelPath, specification, *, overwrite: bool = False):
        """Write what a model expects beside its file, where it is found next time; returns where.

            path = logic.saveSpecification("model.pt", {"channels": ["T1"], "spacing": [1, 1, 1]})

        Raises:
            FileExistsError: If there is one already and it must not be overwritten.
        """
        return Sidecar.write(modelPath, specification, overwrite=overwrite)

    def guessChannels(self, channels, volumeNodes=None) -> list:
        """Return the scene's volume for each channel of a model by their names, None for none.

            volumes = logic.guessChannels(["T1", "T1Gd", "T2", "FLAIR"])

        Args:
            channels: their names in the model's order.
            volumeNodes: those that are chosen already, None where none is.
        """
        return VolumeChoice.suggested(self.scene, tuple(channels), list(volumeNodes or []))

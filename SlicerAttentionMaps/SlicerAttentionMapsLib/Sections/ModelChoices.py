"""What may be chosen of a folder of trained networks: configuration, folds, checkpoint."""

from dataclasses import replace

import qt

from ..Panel import ModelOptions


class ModelChoices:
    """Binds the box's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._known = ("", {})
        self._boxes = {}
        ui, guarded = panel.ui, panel.guarded
        ui.configurationComboBox.connect("activated(int)", guarded(self.onConfiguration))
        ui.checkpointComboBox.connect("activated(int)", guarded(self.onCheckpoint))
        ui.mirroringCheckBox.connect("toggled(bool)", guarded(self.onMirroring))
        ui.usualOptionsButton.connect("clicked()", guarded(self.onUsual))

    def options(self) -> ModelOptions.ModelOptions:
        """Return what is chosen."""
        return ModelOptions.parsed(self._panel.parameters.modelOptions)

    def choices(self, path: str, model) -> dict:
        """Return what a model's folder holds, also while another of its networks is loaded.

        Args:
            path: the model that is chosen.
            model: the worker's summary of it; None as long as it is not loaded.
        """
        if model is not None:
            names = ("configurations", "configuration", "folds", "checkpoints")
            self._known = (path, {name: model[name] for name in names if name in model})
        return self._known[1] if self._known[0] == path else {}

    def show(self, state) -> None:
        """Show a box for each fold; the other widgets are shown with the section's."""
        shown = ModelOptions.folds(state)
        if [name for name, _checked in shown] != list(self._boxes):
            self._rebuild([name for name, _checked in shown])
        for name, checked in shown:
            box = self._boxes[name]
            blocked = box.blockSignals(True)
            box.setChecked(checked)
            box.blockSignals(blocked)

    def onConfiguration(self, index: int) -> None:
        """Take another configuration."""
        name = self._panel.ui.configurationComboBox.itemData(index)
        self._keep(ModelOptions.withConfiguration(self.options(), name))

    def onCheckpoint(self, index: int) -> None:
        """Take another checkpoint."""
        name = self._panel.ui.checkpointComboBox.itemData(index)
        self._keep(replace(self.options(), checkpoint=name))

    def onMirroring(self, checked: bool) -> None:
        """Mirror windows or not."""
        self._keep(replace(self.options(), mirroring=checked))

    def onFold(self, name: str, checked: bool) -> None:
        """Take a fold more or less."""
        self._keep(ModelOptions.withFold(self._panel.state(), name, checked))

    def onUsual(self) -> None:
        """Leave all to the model."""
        self._keep(ModelOptions.ModelOptions())

    def _keep(self, options) -> None:
        self._panel.parameters.modelOptions = ModelOptions.written(options)
        self._panel.requestRefresh()

    def _rebuild(self, names) -> None:
        layout = self._panel.ui.foldsWidget.layout()
        for box in self._boxes.values():
            layout.removeWidget(box)
            box.deleteLater()
        self._boxes = {}
        for name in names:
            box = qt.QCheckBox(name)
            box.connect(
                "toggled(bool)",
                self._panel.guarded(lambda checked, name=name: self.onFold(name, checked)),
            )
            layout.addWidget(box)
            self._boxes[name] = box

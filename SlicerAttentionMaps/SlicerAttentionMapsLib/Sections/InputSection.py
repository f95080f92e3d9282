"""The Input section."""

import json
from pathlib import Path

import qt
import slicer
import vtk

from .. import Sidecar, VolumeChoice
from ..Binding import apply
from ..i18n import _
from ..Panel import ModelOptions, SetupPanel, SpecForm
from ..Panel.InputPanel import (
    InputState,
    channelControls,
    channelNames,
    controls,
    formEntries,
)
from .ModelChoices import ModelChoices
from .ModelDrop import ModelDrop
from .ModelRemedies import ModelRemedies
from .SpecificationForm import SpecificationForm
from .VolumeSelectors import VolumeSelectors

_LAST_MODEL = "AttentionMaps/LastModel"
_PAUSE_MS = 300


class InputSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._unread = {}
        self._observed = []
        self._remembered = ""
        self._told = None
        self._guessedFor = None
        ui = panel.ui
        style = ui.inputSection.style()
        icon = style.standardIcon(qt.QStyle.SP_MessageBoxWarning).pixmap(16, 16)
        ui.inputWarningIcon.setPixmap(icon)
        ui.modelFolderButton.setIcon(style.standardIcon(qt.QStyle.SP_DirOpenIcon))
        ui.modelPathEdit.nameFilters = [
            _("Models") + " (*.pt *.pth *.ts *.pt2 *.jit *.zip)",
            _("All files") + " (*)",
        ]
        self._choices = ModelChoices(panel)
        self._remedies = ModelRemedies(panel)
        self._drop = ModelDrop(ui.inputSection, panel.guarded(self.onModel))
        self._pause = qt.QTimer(ui.inputSection)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.connect("timeout()", panel.requestRefresh)
        self._selectors = VolumeSelectors(
            ui.volumeLabel, ui.volumeSelector, ui.inputFormLayout, panel.guarded(self.onVolume)
        )
        self._form = SpecificationForm(ui.specificationForm.layout(), panel.guarded(self.onEntry))
        # The editor itself does not tell of folders, which match none of its filters.
        path = ui.modelPathEdit.comboBox()
        path.lineEdit().setAcceptDrops(False)
        path.connect("editTextChanged(QString)", panel.guarded(self.onModel))
        ui.modelFolderButton.connect("clicked()", panel.guarded(self.onFolder))
        ui.saveSidecarButton.connect("clicked()", panel.guarded(self.onSaveSidecar))
        ui.revertButton.connect("clicked()", panel.guarded(self.onRevert))

    def state(self) -> InputState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        parameters, worker = self._panel.parameters, self._panel.worker
        path = parameters.modelPath
        found = bool(path) and Path(path).expanduser().exists()
        sidecar = Sidecar.sidecarOf(path) if path else None
        isTold = bool(path) and path == self._told  # else the worker speaks of another model
        model = worker.model if isTold else None
        return InputState(
            volumes=tuple(
                None if node is None else VolumeChoice.factsOf(node) for node in self.volumeNodes()
            ),
            modelPath=path,
            modelFound=found,
            sidecar=str(sidecar or ""),
            sidecarFound=sidecar is not None and sidecar.is_file(),
            specification=self._specification(model, sidecar),
            edited=bool(SpecForm.parsed(parameters.specification)),
            unread=dict(self._unread),
            model=model,
            modelLoading=worker.modelLoading if isTold else found,
            modelError=worker.modelError if isTold else "",
            modelErrorKind=worker.modelErrorKind if isTold else "",
            options=self._choices.options(),
            choices=self._choices.choices(path, model),
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        self._selectors.show(channelControls(state))
        self._form.show(formEntries(state.input))
        apply(self._panel.ui, controls(state))
        self._choices.show(state)
        self._observeVolumes()
        self._remember(state.input)
        self._guessVolumes(state.input)

    def volumeNodes(self) -> list:
        """Return the chosen volume of each channel, None where none is chosen."""
        return list(self._panel.parameters.volumes) or [None]

    def choose(self, state) -> None:
        """Tell the worker what the next questions are about; it starts where it has to.

        Nothing is asked while the panel is not shown, a path is being typed, or something that
        the worker needs is not installed.
        """
        given = state.input
        waits = not self._panel.moduleShown or self._pause.isActive() or given.unread
        if waits or state.explain.running or SetupPanel.problem(state):
            return
        self._told = given.modelPath if given.modelFound else None
        parameters = self._panel.parameters
        trusted = self._told is not None and self._remedies.trust.covers(self._told)
        isWindowed = given.model is not None and given.model.get("windows")
        self._panel.worker.choose(
            [node for node in self.volumeNodes() if node is not None],
            self._told or "",
            ModelOptions.specificationFor(SpecForm.parsed(parameters.specification), given.options),
            state.setup.choices.device,
            options=ModelOptions.forEngine(given.options, trusted=trusted),
            region=parameters.regionNode if isWindowed else None,
        )

    def suggest(self) -> None:
        """Choose the last model where none is chosen yet, and volumes at the next occasion."""
        parameters = self._panel.parameters
        last = str(self._panel.settings.value(_LAST_MODEL, "") or "")
        if not parameters.modelPath and last and Path(last).exists():
            parameters.modelPath = last
        self._guessedFor = None

    def onVolume(self, position: int, node) -> None:
        """Take a volume for a channel."""
        nodes = self.volumeNodes()
        nodes += [None] * (position + 1 - len(nodes))
        nodes[position] = node
        self._panel.parameters.volumes = nodes

    def onModel(self, path: str) -> None:
        """Take another model; what was changed of the specification belonged to the last one."""
        parameters = self._panel.parameters
        if path == parameters.modelPath:
            return
        self._unread = {}
        self._pause.start()
        with slicer.util.NodeModify(parameters):
            parameters.specification = ""
            parameters.modelOptions = ""
            parameters.modelPath = path

    def onFolder(self) -> None:
        """Ask for a model that is a folder."""
        start = self._panel.parameters.modelPath
        path = qt.QFileDialog.getExistingDirectory(
            self._panel.ui.inputSection, _("Choose a model"), start
        )
        if path:
            self.onModel(path)

    def onEntry(self, name: str, text: str) -> None:
        """Take an entry of the specification."""
        state = self.state()
        try:
            fields = SpecForm.changed(state.specification, name, text)
        except SpecForm.FormError as error:
            self._unread[name] = (text, str(error))
            self._panel.requestRefresh()
            return
        self._unread.pop(name, None)
        if fields != SpecForm.withoutVersion(state.specification):
            self._panel.parameters.specification = json.dumps(fields)
        self._panel.requestRefresh()

    def onField(self, name: str, value) -> None:
        """Take a field of the specification as it is."""
        fields = SpecForm.withoutVersion(self.state().specification)
        self._panel.parameters.specification = json.dumps({**fields, name: value})
        self._panel.requestRefresh()

    def onSaveSidecar(self) -> None:
        """Write the specification beside the model."""
        state = self.state()
        name = Path(state.sidecar).name
        question = _("Replace {name}?").format(name=name)
        if state.sidecarFound and not slicer.util.confirmOkCancelDisplay(question):
            return
        path = self._panel.logic.saveSpecification(
            state.modelPath, SpecForm.withoutVersion(state.specification), overwrite=True
        )
        self._panel.log(_("Wrote {path}").format(path=path))
        self._panel.parameters.specification = ""
        self._panel.requestRefresh()

    def onRevert(self) -> None:
        """Forget what was changed of the specification."""
        self._unread = {}
        self._panel.parameters.specification = ""
        self._panel.requestRefresh()

    def _specification(self, model, sidecar) -> dict:
        edited = SpecForm.parsed(self._panel.parameters.specification)
        if edited:
            return edited
        if model is not None:
            return model["spec"]
        return Sidecar.read(sidecar) if sidecar is not None else {}

    def _observeVolumes(self) -> None:
        """Volumes that change are looked at again."""
        nodes = list(dict.fromkeys(node for node in self.volumeNodes() if node is not None))
        if nodes == self._observed:
            return
        events = (vtk.vtkCommand.ModifiedEvent, *VolumeChoice.VOLUME_EVENTS)
        for event in events:
            for node in self._observed:
                self._panel.removeObserver(node, event, self._panel.requestRefresh)
            for node in nodes:
                self._panel.addObserver(node, event, self._panel.requestRefresh)
        self._observed = nodes

    def _remember(self, given: InputState) -> None:
        """Offer a model that could be loaded again next time."""
        if given.model is None or given.modelPath == self._remembered:
            return
        self._remembered = given.modelPath
        self._panel.settings.setValue(_LAST_MODEL, given.modelPath)
        edit = self._panel.ui.modelPathEdit
        blocked = edit.comboBox().blockSignals(True)  # the list is made anew: no other model
        edit.addCurrentPathToHistory()
        edit.setCurrentPath(given.modelPath)
        edit.comboBox().blockSignals(blocked)

    def _guessVolumes(self, given: InputState) -> None:
        """Fill open channels, once per model and set of volumes: what a person clears stays so."""
        if not self._panel.moduleShown or (given.model is None and any(given.volumes)):
            return
        first = given.volumes[0] if given.volumes else None
        names = channelNames(given.model, first.components if first else 1)
        volumes = VolumeChoice.explainable(slicer.mrmlScene)
        asked = (names, tuple(node.GetID() for node in volumes))
        if self._guessedFor == asked:
            return
        self._guessedFor = asked
        nodes = self.volumeNodes()
        found = VolumeChoice.suggested(slicer.mrmlScene, names, nodes)
        if found != nodes:
            self._panel.parameters.volumes = found

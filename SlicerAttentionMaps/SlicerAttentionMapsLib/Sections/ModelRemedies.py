"""What a click does about a model that was refused: consent, a package, or slice by slice."""

import qt
import slicer

from ..i18n import _
from ..ModelTrust import ModelTrust
from ..Panel import ModelRefusal


class ModelRemedies:
    """Answers the button beside the warning.

    Args:
        panel: the module's widget.

    Attributes:
        trust: which models may execute code.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.trust = ModelTrust(panel.settings)
        panel.ui.remedyButton.connect("clicked()", panel.guarded(self.onRemedy))

    def onRemedy(self) -> None:
        """Do what the button says."""
        state = self._panel.state()
        remedy = ModelRefusal.remedy(state)
        if remedy is None:
            return
        if remedy.kind == ModelRefusal.TRUST:
            self._askConsent(state.input.modelPath)
        elif remedy.kind == ModelRefusal.INSTALL:
            self._install(remedy.package)
        else:
            self._panel.sections.input.onField("slices", ModelRefusal.slicesField(state))

    def _askConsent(self, path: str) -> None:
        """One question that names the file; loads it again where the answer is yes."""
        box = qt.QMessageBox(slicer.util.mainWindow())
        box.setIcon(qt.QMessageBox.Warning)
        box.setWindowTitle(_("Attention Maps: trust a model"))
        box.setText(ModelRefusal.consentQuestion(path))
        always = qt.QCheckBox(_("Always trust this file on this computer"))
        box.setCheckBox(always)
        box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
        box.button(qt.QMessageBox.Ok).setText(_("Trust"))
        box.setDefaultButton(qt.QMessageBox.Cancel)
        agreed, isForEver = box.exec_() == qt.QMessageBox.Ok, always.checked
        box.deleteLater()
        if agreed:
            self.trust.give(path, always=isForEver)
            self._panel.log(_("Trusted '{path}'").format(path=path))
            self._panel.requestRefresh()

    def _install(self, package: str) -> None:
        """Install a package after one question; the worker starts anew and loads the model."""
        from ..PackageInstaller import PackageInstaller
        from ..SlicerPackages import SlicerPackages

        if PackageInstaller(SlicerPackages()).installMissing((package,)):
            self._panel.sections.setup.lookAgain()
            self._panel.renewWorker()

"""Offers to install a package that an action needs."""

from .. import Dependencies
from ..Panel.Messages import isMissingPackage


class PackageRemedy:
    """Installs what an action has missed, after one question.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel

    def install(self, error) -> bool:
        """Install what an error says is missing; returns whether to do the same again.

        Args:
            error: what ended the action.
        """
        package = Dependencies.namedIn(str(error), Dependencies.FOR_MEASURES)
        isMissing = isMissingPackage(error) or isinstance(error, ModuleNotFoundError)
        if not isMissing or not self._canInstall(package):
            return False
        from ..PackageInstaller import PackageInstaller
        from ..SlicerPackages import SlicerPackages

        if not PackageInstaller(SlicerPackages()).installMissing((package,)):
            return False
        self._panel.sections.setup.lookAgain()
        self._panel.renewWorker()
        return True

    def _canInstall(self, package: str) -> bool:
        """Whether it is missing here; an interpreter of their own people look after themselves."""
        missing = Dependencies.toInstall(Dependencies.packages(), (package,))
        interpreter = self._panel.state().setup.choices.interpreter
        return not interpreter and any(item.requirement.name == package for item in missing)

    def attempt(self, action) -> None:
        """Do something in this process, once more where a package was installed for it.

        Args:
            action: called without arguments.
        """
        while True:
            try:
                action()
                return
            except ImportError as error:
                if not self.install(error):
                    raise

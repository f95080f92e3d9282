"""What is installed, and how what is missing gets installed."""

import sys
from subprocess import CalledProcessError

import pytest

from SlicerAttentionMapsLib import Dependencies
from SlicerAttentionMapsLib.Dependencies import Package, Requirement
from SlicerAttentionMapsLib.PackageInstaller import (
    InstallError,
    PackageInstaller,
    Surroundings,
    question,
)
from SlicerAttentionMapsLib.Panel.Messages import isExpected, textOf

FINE = {"torch": "2.9.1+cpu", "pydantic": "2.12", "numpy": "2.0.1", "SimpleITK": "2.5.0"}


class Computer:
    """A computer's packages, and a host that installs into it."""

    def __init__(self, extension=True, yes=True, **versions) -> None:
        self.versions = {**FINE, **versions}
        self.extension = extension
        self.yes = yes
        self.fails = None
        self.isBroken = False
        self.questions = []
        self.installed = []
        self.torch = []
        self.constraints = ""
        self.restarts = []

    def look(self, requirement: Requirement) -> Package:
        version = self.versions.get(requirement.name)
        return Package(requirement, version is not None, version or "")

    def ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.yes

    def hasTorchInstaller(self) -> bool:
        return self.extension

    def installTorch(self, versions: str) -> None:
        self.torch.append(versions)
        self._put("torch")

    def install(self, specifiers, constraints) -> None:
        self.installed += specifiers
        self.constraints = constraints.read_text()
        for specifier in specifiers:
            self._put(specifier.split(">=")[0])

    def offerRestart(self, names) -> None:
        self.restarts.append(names)

    def installer(self, loaded=()) -> PackageInstaller:
        around = Surroundings(
            look=self.look,
            versions=lambda: {k.lower(): v for k, v in self.versions.items() if v is not None},
            modules=lambda: {"torch": ["torch"], "pydantic": ["Pydantic"], "numpy": ["numpy"]},
            loaded=dict.fromkeys(loaded),
        )
        return PackageInstaller(self, around)

    def _put(self, name: str) -> None:
        if self.fails is not None:
            raise self.fails
        if not self.isBroken:
            self.versions[name] = "99.0"


def package(version, minimum="2.6", installed=True) -> Package:
    return Package(Requirement("torch", "torch", minimum, "networks"), installed, version)


@pytest.mark.parametrize(
    ("version", "isOld"),
    [
        ("2.6", False),
        ("2.6.0+cu124", False),
        ("2.13.0", False),
        ("10", False),
        ("2.5.1", True),
        ("1.13.1", True),
        ("", False),  # nobody knows: not a reason to replace it
        ("unknown", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, isOld):
    assert package(version).isOld is isOld
    assert package(version).isFine is not isOld


def test_what_is_missing_is_neither_old_nor_fine():
    assert not package("", installed=False).isOld
    assert not package("", installed=False).isFine


def test_looking_a_package_up_does_not_import_it():
    loaded = set(sys.modules)
    found = {item.requirement.name: item for item in Dependencies.packages()}
    assert found["torch"].isFine
    assert found["numpy"].version.count(".") == 2
    assert not {"torch", "matplotlib", "nibabel"} & (set(sys.modules) - loaded)


def test_what_is_not_there_is_found_missing():
    found = Dependencies.lookUp(Requirement("no-such-package", "no_such_package", "1", ""))
    assert not found.installed
    assert not found.version


def test_the_rest_of_a_removed_package_counts_as_missing(monkeypatch):
    def broken(name):
        raise ValueError(f"{name}.__spec__ is None")

    monkeypatch.setattr(Dependencies.importlib.util, "find_spec", broken)
    assert not Dependencies.lookUp(Requirement("numpy", "numpy", "1", "")).installed


def test_only_what_the_panel_needs_and_slicer_lacks_is_installed():
    computer = Computer(torch=None, pydantic="1.10.2", numpy="1.0", nibabel=None)
    missing = Dependencies.toInstall(Dependencies.packages(computer.look))
    assert [item.requirement.name for item in missing] == ["torch", "pydantic"]


def test_nothing_is_asked_when_nothing_is_missing():
    computer = Computer()
    assert computer.installer().installMissing()
    assert computer.questions == []


def test_one_question_lists_all_packages():
    computer = Computer(torch=None, pydantic="1.10.2", yes=False)
    assert not computer.installer().installMissing()
    (asked,) = computer.questions
    assert "- torch>=2.6 (runs the networks)" in asked
    assert "- pydantic>=2.6 (checks what a model expects; version 1.10.2 is too old)" in asked
    assert "graphics card" in asked
    assert computer.installed == computer.torch == []


def test_the_question_says_where_torch_comes_from():
    torch = (package("", installed=False),)
    assert "Extensions Manager" in question(torch, hasTorchInstaller=False)
    assert "Extensions Manager" not in question(torch, hasTorchInstaller=True)
    pydantic = (Package(Requirement("pydantic", "pydantic", "2.6", "checks"), False),)
    assert "PyTorch" not in question(pydantic, hasTorchInstaller=False)


def test_torch_comes_through_its_extension_and_the_rest_through_pip():
    computer = Computer(torch=None, pydantic=None)
    assert computer.installer().installMissing()
    assert computer.torch == [">=2.6"]
    assert computer.installed == ["pydantic>=2.6"]


def test_without_the_extension_pip_installs_torch():
    computer = Computer(torch=None, extension=False)
    assert computer.installer().installMissing()
    assert computer.torch == []
    assert computer.installed == ["torch>=2.6"]


def test_what_slicer_ships_is_held_in_place():
    computer = Computer(pydantic=None)
    computer.installer().installMissing()
    assert computer.constraints == "torch==2.9.1+cpu\nnumpy==2.0.1\nSimpleITK==2.5.0\n"


def test_a_shipped_package_of_unknown_version_is_no_constraint():
    computer = Computer(pydantic=None, SimpleITK="")
    computer.installer().installMissing()
    assert computer.constraints == "torch==2.9.1+cpu\nnumpy==2.0.1\n"


def test_a_new_package_needs_no_restart():
    computer = Computer(torch=None, pydantic=None)
    computer.installer(loaded=["numpy", "sys"]).installMissing()
    assert computer.restarts == []


def test_a_replaced_package_that_was_not_loaded_needs_no_restart():
    computer = Computer(pydantic="1.10.2")
    computer.installer(loaded=["numpy"]).installMissing()
    assert computer.restarts == []


def test_a_loaded_package_that_was_replaced_needs_a_restart():
    computer = Computer(pydantic="1.10.2")
    computer.installer(loaded=["numpy", "pydantic"]).installMissing()
    assert computer.restarts == [["pydantic"]]


def test_a_failure_is_one_message_that_says_what_to_do():
    computer = Computer(torch=None, pydantic=None)
    computer.fails = OSError("Network is unreachable.")
    with pytest.raises(InstallError, match=r"^torch, pydantic could not be installed: Network is"):
        computer.installer().installMissing()
    assert computer.restarts == []


def test_a_failure_stands_in_the_panel_as_it_is():
    error = InstallError("torch could not be installed.")
    assert isExpected(error)
    assert textOf(error) == "torch could not be installed."


def test_the_command_line_of_pip_is_kept_out_of_the_message():
    computer = Computer(pydantic=None)
    computer.fails = CalledProcessError(1, ["python", "-m", "pip", "install", "pydantic"])
    with pytest.raises(InstallError, match=r"installed: pip ended with code 1\. Check the network"):
        computer.installer().installMissing()


def test_an_error_without_words_is_named():
    computer = Computer(pydantic=None)
    computer.fails = RuntimeError()
    with pytest.raises(InstallError, match=r"RuntimeError\(\)"):
        computer.installer().installMissing()


def test_what_cannot_be_found_after_installing_is_said():
    computer = Computer(pydantic=None)
    computer.isBroken = True
    with pytest.raises(InstallError, match="pydantic should have been installed"):
        computer.installer().installMissing()


def test_versions_of_this_python_are_read():
    around = Surroundings()
    assert (
        around.versions()["numpy"]
        == Dependencies.lookUp(Requirement("numpy", "numpy", "1", "")).version
    )
    assert "pytest" in around.modules()
    assert "sys" in around.loaded


def test_packages_for_a_kind_of_models_are_installed_when_they_are_wanted():
    computer = Computer(pydantic=None)
    assert computer.installer().installMissing(("monai",))
    assert computer.installed == ["pydantic>=2.6", "monai>=1.4"]
    assert "- monai>=1.4 (MONAI bundles)" in computer.questions[0]
    assert computer.installer().installMissing(("monai",))
    assert len(computer.questions) == 1
    computer = Computer(torch="2.1")
    assert computer.installer().installMissing(("nnunetv2",))
    assert "torch" not in computer.constraints  # it is replaced by a newer one


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("An nnU-Net model needs the package nnunetv2; install it.", "nnunetv2"),
        ("The worker misses the Python package 'monai'; install it.", "monai"),
        ("The worker misses the Python package 'monailabel'; install it.", ""),
        ("The worker misses the Python package 'evil'; install it.", ""),
    ],
)
def test_no_other_package_is_installed_because_of_a_model(message, name):
    assert Dependencies.namedIn(message) == name

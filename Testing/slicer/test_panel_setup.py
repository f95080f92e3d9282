"""What the Setup section shows, and why."""

from dataclasses import replace

import pytest

from SlicerAttentionMapsLib import WorkerChoices as Choices
from SlicerAttentionMapsLib.Dependencies import Package, requirements
from SlicerAttentionMapsLib.Panel.SetupPanel import (
    SetupState,
    controls,
    problem,
    rows,
    whileChecking,
)
from SlicerAttentionMapsLib.Panel.State import PanelState
from SlicerAttentionMapsLib.WorkerChoices import WorkerChoices

VERSIONS = {
    "torch": "2.9.1",
    "pydantic": "2.12.0",
    "numpy": "2.0.1",
    "SimpleITK": "2.5.0",
    "nibabel": "5.3",
    "matplotlib": "3.9",
}
ENVIRONMENT = {
    "torch": "2.9.1+cu128",
    "python": "3.12.10",
    "threads": 8,
    "devices": ["cpu", "cuda:0", "mps"],
    "problem": "",
}


def found(**versions) -> tuple[Package, ...]:
    merged = {**VERSIONS, **versions}
    return tuple(
        Package(item, merged.get(item.name) is not None, merged.get(item.name) or "")
        for item in requirements()
    )


def state(packages=None, **setup) -> PanelState:
    return PanelState(setup=SetupState(packages=packages or found(), **setup))


def test_all_is_well():
    given = state()
    shown = controls(given)
    assert problem(given) == ""
    assert shown["setupSection"].text == "Setup: PyTorch 2.9.1"
    assert shown["setupSection"].checked is False
    assert shown["setupStatusLabel"].text == "All that is needed is installed."
    assert shown["installPackagesButton"].visible is False
    assert shown["checkWorkerButton"].enabled is True


def test_the_section_opens_for_a_problem_and_is_never_closed_under_the_hands():
    assert controls(state(shownReady=True))["setupSection"].checked is None
    assert controls(state(shownReady=False))["setupSection"].checked is None
    missing = found(torch=None)
    assert controls(state(missing, shownReady=False))["setupSection"].checked is None
    assert controls(state(missing, shownReady=True))["setupSection"].checked is True


def test_what_is_missing_can_be_installed():
    given = state(found(torch=None, pydantic="1.10"))
    shown = controls(given)
    assert problem(given) == "torch>=2.6, pydantic>=2.6 must be installed first (Setup)."
    assert shown["setupSection"] == replace(shown["setupSection"], text="Setup", checked=True)
    assert shown["setupStatusLabel"].text == problem(given)
    assert shown["installPackagesButton"].visible is True
    assert shown["installPackagesButton"].enabled is True
    assert "torch>=2.6, pydantic>=2.6" in shown["installPackagesButton"].toolTip
    assert shown["checkWorkerButton"].enabled is False


def test_while_packages_are_installed_nothing_can_be_clicked():
    shown = controls(state(found(torch=None), installing=True))
    assert shown["installPackagesButton"].enabled is False
    assert shown["installPackagesButton"].text == "Installing..."


def test_another_interpreter_brings_its_own_torch():
    given = state(found(torch=None), choices=WorkerChoices(interpreter="/opt/python"))
    assert problem(given) == ""
    assert controls(given)["setupSection"].text == "Setup: another Python"
    assert "pydantic" in problem(
        state(found(torch=None, pydantic=None), choices=WorkerChoices(interpreter="/opt/python"))
    )


@pytest.mark.parametrize(("version", "said"), [("1.20", "found 1.20"), (None, "found none")])
def test_what_slicer_ships_is_not_installed_by_us(version, said):
    given = state(found(numpy=version))
    assert problem(given).startswith("Expected numpy>=1.26, which 3D Slicer ships, " + said)
    assert controls(given)["installPackagesButton"].visible is False


def test_optional_packages_may_be_missing():
    given = state(found(nibabel=None, typer=None))
    assert problem(given) == ""
    assert not any(row.isProblem for row in rows(given))
    assert [row.name for row in rows(given) if row.isAbsent] == [
        "nnunetv2", "monai", "scikit-image", "pandas", "openpyxl", "jinja2", "nibabel", "typer",
        "rich",
    ]  # fmt: skip


def test_packages_are_listed_with_versions():
    listed = {row.name: row for row in rows(state(found(torch=None, pydantic="1.10", numpy="")))}
    assert listed["torch"].version == "not installed"
    assert [name for name, row in listed.items() if row.isProblem] == ["torch", "pydantic"]
    assert not listed["torch"].isAbsent
    assert listed["pydantic"].version == "1.10 (too old, expected 2.6)"
    assert listed["numpy"].version == "installed"
    assert listed["SimpleITK"].version == "2.5.0"
    assert listed["typer"].purpose == "the command line (optional)"
    assert listed["torch"].purpose == "runs the networks"


def test_the_worker_says_which_devices_there_are():
    shown = controls(state(environment=ENVIRONMENT))
    assert shown["setupSection"].text == (
        "Setup: PyTorch 2.9.1+cu128, processor, NVIDIA GPU 0, Apple GPU"
    )
    assert shown["environmentLabel"].text == (
        "PyTorch 2.9.1+cu128, Python 3.12.10, 8 threads; "
        "devices: processor, NVIDIA GPU 0, Apple GPU"
    )
    keys = [item.key for item in shown["deviceComboBox"].items]
    assert keys == ["auto", "cpu", "cuda:0", "mps"]


def test_before_the_worker_was_asked_the_chosen_device_stays_a_choice():
    shown = controls(state(choices=WorkerChoices(device="cuda:1")))
    assert "Check" in shown["environmentLabel"].text
    assert [item.key for item in shown["deviceComboBox"].items] == ["auto", "cpu", "cuda:1"]
    assert shown["deviceComboBox"].items[-1].label == "NVIDIA GPU 1"
    assert shown["deviceComboBox"].current == "cuda:1"
    assert problem(state(choices=WorkerChoices(device="cuda:1"))) == ""


def test_a_device_that_is_not_there_is_a_problem():
    given = state(environment=ENVIRONMENT, choices=WorkerChoices(device="xpu:0"))
    assert problem(given) == "The device xpu:0 is not there; choose another one in Setup."
    assert controls(given)["deviceComboBox"].items[-1].label == "xpu:0 (not there)"


def test_the_worker_is_asked_once_at_a_time():
    shown = controls(state(checking=True))
    assert shown["checkWorkerButton"].enabled is False
    assert shown["checkWorkerButton"].text == "Checking..."
    assert shown["environmentLabel"].text == "Starting the worker..."


def test_a_worker_that_does_not_start_is_a_problem():
    assert problem(state(checkError="It could not be started.")) == "It could not be started."


def test_a_worker_without_torch_is_a_problem():
    found = {"python": "3.12.10", "torch": None, "devices": [], "problem": "No torch for /opt/p."}
    given = state(environment=found)
    assert problem(given) == "No torch for /opt/p."
    assert controls(given)["environmentLabel"].text == "Python 3.12.10, no PyTorch"


def test_choices_are_shown():
    shown = controls(state(choices=WorkerChoices(interpreter="/opt/python", threads=4)))
    assert shown["interpreterPathLineEdit"].text == "/opt/python"
    assert shown["threadsSpinBox"].value == 4


class Settings(dict):
    """Stores text, as an INI file does."""

    def value(self, key, default=None):
        return self.get(key, default)

    def setValue(self, key, value):
        self[key] = str(value)


def test_choices_are_kept_in_the_settings():
    settings = Settings()
    assert Choices.load(settings) == WorkerChoices()
    choices = WorkerChoices(device="mps", interpreter="/opt/python", threads=4)
    Choices.save(settings, choices)
    assert Choices.load(settings) == choices
    assert set(settings) == {f"AttentionMaps/{k}" for k in ("Device", "Interpreter", "Threads")}


def test_settings_that_cannot_be_read_are_as_if_never_chosen():
    settings = Settings({"AttentionMaps/Threads": "many", "AttentionMaps/Device": ""})
    assert Choices.load(settings) == WorkerChoices()


def test_threads_reach_the_worker_by_its_environment():
    assert WorkerChoices(threads=3).environment == {"OMP_NUM_THREADS": "3"}
    assert WorkerChoices().environment == {}


def test_another_worker_is_not_shown_with_what_the_former_one_said():
    former = state(environment=ENVIRONMENT, checkError="It could not be started.")
    asked = whileChecking(former.setup)
    assert (asked.environment, asked.checkError, asked.checking) == ({}, "", True)
    text = controls(replace(former, setup=asked))["environmentLabel"].text
    assert text == "Starting the worker..."

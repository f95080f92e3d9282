"""What the extension's build and its catalog entry say is what is in the tree."""

import json
import re

import pytest

import cmake_lists
from cmake_lists import ROOT

CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
CATALOG = json.loads((ROOT / "AttentionMaps.json").read_text(encoding="utf-8"))


def metadata(name: str) -> str:
    return re.search(rf'^set\(EXTENSION_{name} "([^"]*)"\)$', CMAKE, re.MULTILINE)[1]


@pytest.mark.parametrize("name", list(cmake_lists.wanted()))
def test_every_file_is_listed(name):
    text = cmake_lists.CMAKE.read_text(encoding="utf-8")
    wanted, listed = cmake_lists.wanted()[name], cmake_lists.listed(text)[name]
    missing, gone = sorted(set(wanted) - set(listed)), sorted(set(listed) - set(wanted))
    assert not missing + gone, (
        f"{name} misses {missing} and lists {gone}, which are gone: "
        "run `python Testing/slicer/cmake_lists.py`"
    )
    assert listed == wanted


def test_writing_the_lists_again_changes_nothing():
    text = cmake_lists.CMAKE.read_text(encoding="utf-8")
    assert cmake_lists.written(text) == text


def test_the_lists_hold_what_an_installed_module_needs():
    wanted = cmake_lists.wanted()
    assert "SlicerAttentionMaps.py" in wanted["MODULE_PYTHON_SCRIPTS"]
    assert "worker/__main__.py" in wanted["ENGINE_PYTHON_SCRIPTS"]
    assert {"py.typed", "specs/deepbet_bbox.json"} <= set(wanted["ENGINE_RESOURCES"])
    assert "Resources/UI/SlicerAttentionMaps.ui" in wanted["MODULE_RESOURCES"]
    assert "Resources/Icons/SlicerAttentionMaps.svg" in wanted["MODULE_RESOURCES"]


def test_a_missing_file_is_noticed(tmp_path):
    text = cmake_lists.CMAKE.read_text(encoding="utf-8").replace("  worker/__main__.py\n", "")
    assert "worker/__main__.py" not in cmake_lists.listed(text)["ENGINE_PYTHON_SCRIPTS"]
    assert "worker/__main__.py" in cmake_lists.written(text)


def test_the_catalog_entry_has_what_slicer_requires():
    assert {"$schema", "category", "scm_url"} <= set(CATALOG)
    assert re.fullmatch(
        r"https://raw\.githubusercontent\.com/Slicer/Slicer/main/Schemas/"
        r"slicer-extension-catalog-entry-schema-v1\.0\.\d\.json#",
        CATALOG["$schema"],
    )
    assert CATALOG["tier"] in range(1, 6)
    assert CATALOG["scm_type"] == "git"
    assert CATALOG["enabled"] is True


def test_the_catalog_entry_and_the_build_say_the_same():
    assert "project(AttentionMaps)" in CMAKE
    assert CATALOG["category"] == metadata("CATEGORY")
    assert CATALOG["build_dependencies"] == metadata("DEPENDS").split()
    assert CATALOG["scm_url"].removesuffix(".git") == metadata("HOMEPAGE")


def test_addresses_of_pictures_are_raw_files_of_the_repository():
    start = metadata("HOMEPAGE").replace("github.com", "raw.githubusercontent.com") + "/main/"
    for url in [metadata("ICONURL"), *metadata("SCREENSHOTURLS").split()]:
        assert url.startswith(start)
        assert url.endswith(".png")
        assert (ROOT / url.removeprefix(start)).is_file()


def test_the_license_is_where_slicer_looks_for_it():
    assert (ROOT / "LICENSE.txt").is_file()
    assert (ROOT / "README.md").is_file()

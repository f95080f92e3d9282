"""Which volume is which channel."""

import doctest

import pytest

from SlicerAttentionMapsLib.Panel import ChannelGuess
from SlicerAttentionMapsLib.Panel.ChannelGuess import guessChannels, kindOf


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("T1", "t1"), ("sub-01_T1w.nii.gz", "t1"), ("t1_mpr_sag", "t1"), ("MPRAGE", "t1"),
        ("BraTS-GLI-00001-000-t1n", "t1"), ("BraTS_001_t1", "t1"),
        ("T1ce", "t1ce"), ("T1Gd", "t1ce"), ("BraTS-GLI-00001-000-t1c", "t1ce"),
        ("Ax T1 post Gd", "t1ce"), ("sub-01_ce-gadolinium_T1w", "t1ce"), ("T1 SE +C ax", "t1ce"),
        ("BraTS_001_t1ce.nii.gz", "t1ce"),
        ("T2", "t2"), ("t2w_tse", "t2"), ("x-t2w", "t2"),
        ("FLAIR", "flair"), ("T2-FLAIR", "flair"), ("x-t2f", "flair"),
        ("t2_tirm_dark-fluid", "flair"),
        ("T2*", "t2star"),
        ("ep2d_diff_b1000_ADC", "adc"), ("DWI b1000", "dwi"),
        ("CTres", "ct"), ("CT chest", "ct"), ("SUV", "pet"), ("PET WB", "pet"),
        ("MRHead", ""), ("spectrum", ""), ("Scan", ""), ("", ""),
    ],
)  # fmt: skip
def test_names_speak_of_a_kind(name, kind):
    assert kindOf(name) == kind


def test_channels_come_in_the_models_order():
    volumes = ["case_flair", "case_t1", "case_t1ce", "case_t2"]
    assert guessChannels(["T1", "T1Gd", "T2", "FLAIR"], volumes) == (1, 2, 3, 0)


def test_of_equal_names_the_case_that_was_chosen_is_taken():
    volumes = [f"{case}_{kind}" for case in "AB" for kind in ("t1", "t2", "flair")]
    assert guessChannels(["FLAIR", "T1", "T2"], volumes, like="B_t2") == (5, 3, 4)
    assert guessChannels(["FLAIR", "T1", "T2"], volumes, like="A_t1") == (2, 0, 1)


def test_a_number_says_which_channel_it_is():
    assert guessChannels(["", "", ""], ["x_0002", "x_0000.nii.gz", "x_0001"]) == (1, 2, 0)
    assert guessChannels(["T1", "T2"], ["x_0001", "x_0000"]) == (1, 0)


def test_an_equal_name_is_better_than_an_equal_kind():
    assert guessChannels(["T2w"], ["my t2", "T2W"]) == (1,)


def test_a_name_of_no_known_kind_is_found_among_the_words():
    assert guessChannels(["elastography", "T1"], ["T1", "case elastography"]) == (1, 0)


def test_a_volume_is_one_channel_only():
    assert guessChannels(["T1", "T1n", "PD"], ["T1", "CT", "SUV"]) == (0, None, None)


def test_what_is_left_belongs_to_the_open_channel():
    assert guessChannels(["T1", "lesions"], ["unnamed", "T1"]) == (1, 0)
    assert guessChannels(["a", "b"], ["x", "y"]) == (None, None)
    assert guessChannels(["T1"], []) == (None,)


def test_examples():
    assert doctest.testmod(ChannelGuess).failed == 0

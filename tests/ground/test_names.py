"""Names that do not exist. Oracle: what a person would have meant."""

import pytest

from escsr.names import did_you_mean, nearest, unknown_name

OPTIONS = ["esc", "esc_light", "esc_real", "esc_tiny"]


@pytest.mark.parametrize(
    ("given", "options", "meant"),
    [
        ("esc_tinny", OPTIONS, "esc_tiny"),
        ("ESC_TINY", OPTIONS, "esc_tiny"),
        ("esc-light", OPTIONS, "esc_light"),
        ("psnr_y", ["PSNR_Y", "SSIM_Y"], "PSNR_Y"),
        ("learning_rate", ["lr", "wd", "rate"], "lr"),
        ("weight_decay", ["lr", "wd"], "wd"),
        ("qqqq", OPTIONS, None),
        ("", OPTIONS, None),
        ("esc", [], None),
    ],
)
def test_nearest(given, options, meant):
    assert nearest(given, options) == meant


def test_messages():
    assert did_you_mean("widht", {"width", "height"}) == "did you mean 'width'?"
    assert did_you_mean("qqqq", {"width", "height"}) == "known: height, width"
    assert did_you_mean("qqqq", []) == "known: none"
    assert unknown_name("head", "qqqq", ("lte", "liif")) == (
        "unknown head 'qqqq'. There are: liif, lte."
    )
    assert "Did you mean 'liif'? There are: liif, lte." in unknown_name(
        "head", "LIF", ["lte", "liif"]
    )

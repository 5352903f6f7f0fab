"""Choices by device and precision. Oracle: the rules of the table, and the ways chosen by hand."""

import pytest
import torch

import escsr
from escsr import choices, testing
from escsr.choices import SAFE, Choices, choose, choosing, measured_choices, read_choices
from escsr.layers import ATTENTION_MODES, LayerNorm2d

TABLE = """
[[measured]]
device = "cuda"
names = [""]
precisions = ["bf16"]
table = "flex"
date = 2026-01-01
bench = "escsr bench --gpu"

[[measured]]
device = "cuda"
names = ["NVIDIA H100", "NVIDIA H200"]
precisions = ["bf16", "fp16"]
table = "math"
merge = false
date = 2026-01-02
bench = "escsr bench --gpu"
"""


def test_the_table_of_the_library_can_be_read() -> None:
    entries = measured_choices()
    assert choose(entries, "cpu", "", "fp32").layout == "channels_last"
    for entry in entries:
        assert entry.choices.table in ATTENTION_MODES
        assert entry.choices.factors in ATTENTION_MODES


@pytest.mark.parametrize(
    ("device", "name", "precision", "expected"),
    [
        ("cuda", "NVIDIA A100-SXM4-40GB", "bf16", Choices(table="flex")),
        ("cuda", "NVIDIA H100 80GB HBM3", "bf16", Choices(table="math", merge=False)),
        ("cuda", "NVIDIA H200", "fp16", Choices(table="math", merge=False)),
        ("cuda", "NVIDIA H200", "fp32", SAFE),
        ("mps", "", "bf16", SAFE),
        ("privateuseone", "", "fp32", SAFE),
    ],
)
def test_the_longest_name_counts_and_what_is_unknown_is_safe(
    device: str, name: str, precision: str, expected: Choices
) -> None:
    assert choose(read_choices(TABLE), device, name, precision) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('table = "flex"', 'table = "quick"'),
        ('date = 2026-01-01\nbench = "escsr bench --gpu"', "date = 2026-01-01"),
        ('precisions = ["bf16"]', 'precisions = ["int8"]'),
        ("merge = false", "fuse = false"),
    ],
    ids=["value", "bench", "precision", "field"],
)
def test_a_table_that_says_nonsense_is_refused(change: str, message: str) -> None:
    assert change in TABLE
    with pytest.raises(ValueError, match="is one of|needs device|know nothing of"):
        read_choices(TABLE.replace(change, message, 1))


def test_networks_compute_as_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = TABLE.replace('device = "cuda"', 'device = "cpu"').replace('"bf16"', '"fp32"')
    monkeypatch.setattr(choices, "measured_choices", lambda: read_choices(made))
    monkeypatch.setattr(choices, "_name_of", lambda device, index: "NVIDIA H200")
    choices._chosen.cache_clear()
    try:
        model = escsr.build("esc_tiny", scale=2).eval()
        lq = testing.picture(12, 17)
        with torch.inference_mode():
            found = model(lq)
            by_hand = model.set_attention("math")
            with choosing(merge=False):
                assert torch.equal(found, by_hand(lq))
            with choosing(merge=True):
                assert not torch.equal(found, by_hand(lq))
    finally:
        choices._chosen.cache_clear()


def test_layouts_are_those_that_are_forced() -> None:
    norm, x = LayerNorm2d(8), torch.rand(1, 8, 5, 6)
    assert norm(x).is_contiguous(memory_format=torch.channels_last)
    with choosing(layout="contiguous"):
        assert norm(x).is_contiguous()
    with pytest.raises(ValueError, match="layout is one of"), choosing(layout="rows"):
        pass

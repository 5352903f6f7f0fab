"""The benchmark of heads. Oracle of its definitions: `literal.py`, plain loops in float64."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from escsr.bench import HeadSetup, literal_picture, run_heads
from escsr.cli.main import app
from escsr.heads.base import query_heads
from tests.heads.literal import Literal
from tests.heads.test_implicit import given, make


@pytest.mark.parametrize("name", ["liif", "lte", "lte_fast"])
@pytest.mark.parametrize("size", [(7, 9), (6, 8), (12, 5)])
def test_definitions_written_out_are_the_definitions(name: str, size: tuple[int, int]) -> None:
    head = make(name, cell_max_scale=1.5)
    features, lq = given((3, 4))
    wanted = Literal(head, features[0], lq[0]).picture(size)
    with torch.inference_mode():
        found = literal_picture(head, features, lq, size)[0]
    assert not wanted.isnan().any()
    # It blends with 1e-9 added to every area, and its coordinates are rounded to float32.
    assert (found - wanted).abs().max() < 1e-5


def test_other_heads_are_not_written_out() -> None:
    features, lq = given((3, 4))
    for head in (make("metasr"), make("liif", unfold=False), make("lte", cell_decode=False)):
        with pytest.raises(ValueError, match="only LIIF and LTE as published"):
            literal_picture(head, features, lq, (6, 8))


def test_all_heads_are_measured() -> None:
    threads = torch.get_num_threads()
    found = run_heads(HeadSetup(height=5, width=6, channels=4, scales=(2,), threads=1, repeats=1))
    assert torch.get_num_threads() == threads
    names = {"literal liif", "literal lte", "pixel_shuffle", *query_heads()}
    assert {m.head for m in found} == names
    by_name = {m.head: m for m in found}
    assert by_name["literal lte"].literal_lte == by_name["pixel_shuffle"].plain == 1
    for name in ("liif", "lte"):
        own = by_name[name].own_literal
        assert own == pytest.approx(by_name[f"literal {name}"].seconds / by_name[name].seconds)
        assert by_name[name].difference < 2e-5


def test_command(tmp_path: Path) -> None:
    options = ["--heads", "--scale", "2", "--size", "4", "--threads", "1", "--repeats", "1"]
    report = tmp_path / "heads.json"
    result = CliRunner().invoke(app, ["bench", *options, "--output", str(report)])
    assert result.exit_code == 0, result.output
    assert "lmf_lte" in result.output
    content = json.loads(report.read_text(encoding="utf-8"))
    assert {m["scale"] for m in content["measurements"]} == {2}
    wrong = CliRunner().invoke(app, ["bench", "--heads", "--training"])
    assert isinstance(wrong.exception, ValueError)

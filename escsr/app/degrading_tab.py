"""The third tab: degradations, for those who train."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from escsr.app.degrading import MOST_DRAWS, degrade_one, make_sheet
from escsr.app.desk import Desk
from escsr.app.parts import QUEUED, Given
from escsr.app.uploads import name_of
from escsr.app.words import explain, status
from escsr.degradations import list_presets


def build_degrading(desk: Desk, examples: Mapping[str, Path]) -> None:
    """Lay out the tab, and connect it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            given = Given(desk, "bad", examples)
            presets = list_presets()
            preset = gr.Radio(presets, value=presets[0], label="Preset", elem_id="bad-preset")
            scale = gr.Slider(1, 8, value=4, step=0.5, label="Downscaling factor")
            seed = gr.Number(value=0, precision=0, minimum=0, label="Seed")
            count = gr.Slider(2, MOST_DRAWS, value=8, step=1, label="Samples on the sheet")
            with gr.Row():
                once = gr.Button("Degrade", variant="primary", elem_id="bad-once")
                several = gr.Button("Make a sheet", elem_id="bad-sheet")
        with gr.Column(scale=3, min_width=320):
            report = gr.HTML(padding=False, elem_id="bad-report")
            view = gr.ImageSlider(
                label="Original and degraded", elem_id="bad-view", interactive=False
            )
            files = gr.File(
                label="The degraded picture, and the parameters to reproduce it", visible=False
            )
            sheet = gr.Image(
                label="Sheet of samples",
                visible=False,
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_id="bad-sheet-view",
                alt_text="Several samples of the degradation, each with its parameters below",
            )
    chosen = [given.path, preset, scale, seed]
    once.click(_degrading(desk), chosen, [report, view, files], concurrency_limit=1, **QUEUED)
    several.click(_sheeting(desk), [*chosen, count], [report, sheet], concurrency_limit=1, **QUEUED)


def _degrading(desk: Desk) -> Any:
    def degrade(request: gr.Request, path: str | None, *choices: Any) -> Any:
        if path is None:
            return status("Add a picture first.", "bad"), gr.skip(), gr.skip()
        try:
            made = degrade_one(desk, str(request.session_hash), path, *choices)
        except Exception as error:
            return status(explain(error, name_of(path)), "bad"), gr.skip(), gr.skip()
        files = gr.update(value=list(made.files), visible=True)
        return status(made.text, "good"), made.view, files

    return degrade


def _sheeting(desk: Desk) -> Any:
    def sheet(request: gr.Request, path: str | None, *choices: Any) -> Any:
        if path is None:
            return status("Add a picture first.", "bad"), gr.skip()
        try:
            made = make_sheet(desk, str(request.session_hash), path, *choices)
        except Exception as error:
            return status(explain(error, name_of(path)), "bad"), gr.skip()
        return "", gr.update(value=made, visible=True)

    return sheet

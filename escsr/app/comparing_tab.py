"""The fourth tab: one part of a picture by several networks, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from escsr.app import networks
from escsr.app.choices import KINDS, LEAST_SCALE, MOST_SCALE, Order
from escsr.app.desk import Desk
from escsr.app.parts import QUEUED, Eye, Given
from escsr.app.uploads import name_of
from escsr.app.words import RefusedError, explain, status
from escsr.models import published

_MOST = 3


def build_comparing(desk: Desk, examples: Mapping[str, Path]) -> None:
    """Lay out the tab, and connect it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            given = Given(desk, "side", examples)
            models = gr.CheckboxGroup(
                compared_names(),
                value=["default", "restore"],
                label="Networks, two or three",
                elem_id="side-models",
            )
            scale = gr.Slider(LEAST_SCALE, MOST_SCALE, value=3, step=0.5, label="Scale")
            eye = Eye(desk, "side", given)
        with gr.Column(scale=3, min_width=320):
            report = gr.HTML(padding=False, elem_id="side-report")
            view = gr.Gallery(
                label="The same region by each network",
                columns=2,
                height=None,
                buttons=["download", "fullscreen"],
                object_fit="contain",
                interactive=False,
                elem_id="side-view",
            )
    looks = [given.path, models, scale, *eye.all]
    gr.on(
        [part.change for part in looks],
        _comparing(desk),
        looks,
        [view, report],
        trigger_mode="always_last",
        concurrency_limit=1,
        **QUEUED,
    )


def compared_names() -> list[str]:
    """Networks that can be compared: the embedded ones, and those that were downloaded."""
    own = [name for name in KINDS.values() if name != "auto"]
    own += ["esc_tiny_x2", "esc_tiny_x4"]
    return own + [name for name in published() if networks.is_here(name)]


def _comparing(desk: Desk) -> Any:
    def compare(
        request: gr.Request,
        path: str | None,
        models: list[str],
        scale: float,
        x: float,
        y: float,
        zoom: int,
    ) -> Any:
        if path is None:
            return None, ""
        owner = str(request.session_hash)
        try:
            if not 1 <= len(models) <= _MOST or not set(models) <= set(compared_names()):
                raise RefusedError(f"Choose two or three networks, not {len(models)}.")
            shown: list[tuple[str, str]] = []
            notes: list[str] = []
            for model in models:
                order = Order(model=model, size={"scale": float(scale)})
                (before, after), said = desk.preview(owner, path, order, x, y, int(zoom))
                shown = shown or [(before, "bicubic")]
                shown.append((after, model))
                notes += said
        except Exception as error:
            return gr.skip(), status(explain(error, name_of(path)), "bad")
        return shown, status("\n".join(dict.fromkeys(notes)))

    return compare

"""The first tab: one picture, its preview, and the whole."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from escsr.app.desk import Desk
from escsr.app.parts import INSTANT, QUEUED, Eye, Given, Settings, order_of, stopping, watched
from escsr.app.uploads import name_of
from escsr.app.words import explain, status


def build_one(desk: Desk, examples: Mapping[str, Path]) -> None:
    """Lay out the tab, and connect it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            given = Given(desk, "one", examples)
            settings = Settings(desk, "one")
        with gr.Column(scale=3, min_width=320):
            crop = gr.ImageSlider(
                label="Preview: before and after",
                elem_id="one-crop",
                max_height=480,
                interactive=False,
            )
            eye = Eye(desk, "one", given)
            noted = gr.HTML(padding=False, elem_id="one-noted")
            with gr.Row():
                run = gr.Button("Upscale", variant="primary", elem_id="one-run")
                stop = gr.Button("Stop", interactive=False, elem_id="one-stop")
            report = gr.HTML(padding=False, elem_id="one-report")
            whole = gr.ImageSlider(
                label="Whole picture: before and after",
                elem_id="one-whole",
                visible=False,
                interactive=False,
            )
            download = gr.DownloadButton("Download", elem_id="one-download", visible=False)
    parts = _One(desk)
    looks = [given.path, *eye.all, *settings.of_the_picture]
    gr.on(
        [part.change for part in (*looks, settings.ready)],
        parts.preview,
        looks,
        [crop, noted],
        trigger_mode="always_last",
        concurrency_limit=2,
        **QUEUED,
    )
    run.click(
        parts.run,
        [given.path, *settings.all],
        [report, whole, download, run, stop],
        concurrency_limit=None,
        **QUEUED,
    )
    stop.click(stopping(desk), None, None, **INSTANT)


class _One:
    """The functions behind the tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def preview(
        self, request: gr.Request, path: str | None, x: float, y: float, zoom: int, *choices: Any
    ) -> Any:
        """The crop, before and after."""
        if path is None:
            return None, ""
        owner = str(request.session_hash)
        try:
            view, notes = self._desk.preview(owner, path, order_of(*choices), x, y, int(zoom))
        except Exception as error:
            return gr.skip(), status(explain(error, name_of(path)), "bad")
        return view, status("\n".join(notes))

    async def run(self, request: gr.Request, path: str | None, *choices: Any) -> AsyncIterator[Any]:
        """The whole picture, told as it goes."""
        if path is None:
            yield status("Add a picture first.", "bad"), *_idle()
            return
        owner, desk = str(request.session_hash), self._desk
        try:
            order = order_of(*choices)
            job = desk.jobs.submit(owner, lambda job: desk.whole(owner, path, order, job))
        except Exception as error:
            yield status(explain(error, name_of(path)), "bad"), *_idle()
            return
        async for line in watched(desk, job):
            yield line, gr.skip(), gr.skip(), *_BUSY
        if job.error is not None:
            yield status(explain(job.error, name_of(path)), "bad"), *_idle()
        elif job.result is None:
            yield status("Stopped; nothing was made."), *_idle()
        else:
            made = job.result
            label = f"Download {made.file.name}"
            yield (
                status("\n".join([made.report, *made.notes]), "good"),
                gr.update(value=made.view, visible=True),
                gr.update(value=str(made.file), label=label, visible=True),
                *_FREE,
            )


# The buttons to start and to stop.
_BUSY = gr.update(interactive=False), gr.update(interactive=True)
_FREE = gr.update(interactive=True), gr.update(interactive=False)


def _idle() -> tuple[Any, ...]:
    """No new picture, and the buttons as at the beginning."""
    return gr.skip(), gr.skip(), *_FREE

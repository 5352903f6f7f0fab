"""The first tab: one picture, its preview, and the whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from escsr.app.choices import (
    BY_HEIGHT,
    BY_SCALE,
    BY_WIDTH,
    EXACT,
    KINDS,
    LEAST_SCALE,
    MOST_SCALE,
    SIZES,
    Order,
    size_arguments,
    types,
)
from escsr.app.components import picture_input
from escsr.app.desk import Desk
from escsr.app.uploads import name_of
from escsr.app.words import explain, status

_TICK = 0.2  # seconds between two looks at a job


class Settings:
    """What one order needs, as components; made where they stand on the page."""

    def __init__(self) -> None:
        kinds = list(KINDS.items())
        self.kind = gr.Radio(kinds, value=kinds[0][1], label="What it is")
        self.how = gr.Radio(list(SIZES), value=BY_SCALE, label="How large")
        self.scale = gr.Slider(
            LEAST_SCALE, MOST_SCALE, value=2, step=0.5, label="Scale", info="Times each side"
        )
        with gr.Row():
            self.width = gr.Number(label="Width", precision=0, minimum=1, visible=False)
            self.height = gr.Number(label="Height", precision=0, minimum=1, visible=False)
        with gr.Row():
            self.type = gr.Dropdown(types(), value=types()[0], label="File type")
            self.quality = gr.Slider(
                1, 100, value=95, step=1, label="Quality", info="Of JPEG, WebP and AVIF"
            )
        self.how.change(_shown_sizes, self.how, [self.scale, self.width, self.height], **_INSTANT)

    @property
    def of_the_picture(self) -> list[Any]:
        """What changes how the picture looks."""
        return [self.kind, self.how, self.scale, self.width, self.height]

    @property
    def all(self) -> list[Any]:
        """The arguments of `order_of`."""
        return [*self.of_the_picture, self.type, self.quality]


def order_of(
    kind: str,
    how: str,
    scale: float | None,
    width: float | None,
    height: float | None,
    type: str = types()[0],  # noqa: A002
    quality: float = 95,
) -> Order:
    """What the components say; raises what `Order` raises."""
    size = size_arguments(how, scale, width, height)
    return Order(model=kind, size=size, type=type, quality=int(quality))


_INSTANT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build_one(desk: Desk) -> None:
    """Lay out the tab, and connect it."""
    accepted = gr.State()
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            picture = picture_input(label="Picture", height=300, elem_id="picture")
            settings = Settings()
            with gr.Row():
                run = gr.Button("Upscale", variant="primary", elem_id="run")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML(elem_id="said")
            crop = gr.ImageSlider(
                label="Preview: before and after", elem_id="crop", max_height=480, interactive=False
            )
            with gr.Row():
                x = gr.Slider(0, 100, value=50, step=1, label="Left to right", info="In per cent")
                y = gr.Slider(0, 100, value=50, step=1, label="Top to bottom", info="In per cent")
                zoom = gr.Radio([100, 200, 300, 400], value=100, label="Zoom in per cent")
            noted = gr.HTML(elem_id="noted")
            report = gr.HTML(elem_id="report")
            whole = gr.ImageSlider(
                label="Whole: before and after", elem_id="whole", visible=False, interactive=False
            )
            download = gr.DownloadButton("Download", elem_id="download", visible=False)
    parts = _One(desk)
    picture.change(parts.accept, [picture, accepted], [picture, accepted, said], **_QUIET)
    picture.select(parts.point, accepted, [x, y], **_INSTANT)
    looks = [accepted, *settings.of_the_picture, x, y, zoom]
    gr.on(
        [part.change for part in looks],
        parts.preview,
        looks,
        [crop, noted],
        trigger_mode="always_last",
        concurrency_limit=2,
        **_QUIET,
    )
    run.click(
        parts.run,
        [accepted, *settings.all],
        [report, whole, download, run, stop],
        concurrency_limit=None,
        **_QUIET,
    )
    stop.click(parts.stop, None, None, **_INSTANT)


class _One:
    """The functions behind the tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def accept(self, request: gr.Request, path: str | None, before: str | None) -> Any:
        """Take an upload, or refuse it with a sentence."""
        if path is None:
            # Taken away by the person; or by us, with a message that is to stay.
            return gr.skip(), None, "" if before else gr.skip()
        try:
            self._desk.folder.uses(str(request.session_hash), path)
            upload = self._desk.uploads.read(path)
        except Exception as error:
            return None, None, status(explain(error, name_of(path)), "bad")
        height, width = upload.picture.size
        text = "\n".join([f"{upload.name}: {width}×{height} pixels", *upload.notes])
        return gr.skip(), path, status(text)

    def preview(self, request: gr.Request, path: str | None, *choices: Any) -> Any:
        """The crop, before and after."""
        if path is None:
            return None, ""
        *chosen, x, y, zoom = choices
        owner = str(request.session_hash)
        try:
            view, notes = self._desk.preview(owner, path, order_of(*chosen), x, y, int(zoom))
        except Exception as error:
            return gr.skip(), status(explain(error, name_of(path)), "bad")
        return view, status("\n".join(notes))

    def point(self, path: str | None, event: gr.SelectData) -> Any:
        """Move the crop to where somebody clicked in the picture."""
        if path is None:
            return gr.skip(), gr.skip()
        height, width = self._desk.uploads.read(path).picture.size
        column, row = event.index
        return round(100 * column / width), round(100 * row / height)

    async def run(self, request: gr.Request, path: str | None, *choices: Any) -> AsyncIterator[Any]:
        """The whole picture, told as it goes."""
        if path is None:
            yield status("Give a picture first.", "bad"), *_idle()
            return
        owner = str(request.session_hash)
        desk = self._desk
        try:
            order = order_of(*choices)
            job = desk.jobs.submit(owner, lambda job: desk.whole(owner, path, order, job))
        except Exception as error:
            yield status(explain(error, name_of(path)), "bad"), *_idle()
            return
        try:
            while not job.is_over:
                text = status(job.line(desk.jobs.ahead(job)), share=job.share)
                yield text, gr.skip(), gr.skip(), gr.update(interactive=False), _ON
                await asyncio.sleep(_TICK)
        finally:  # also where the page was closed
            job.end()
        if job.state == "stopped":
            yield status("Stopped; nothing was made."), *_idle()
        elif job.result is None:
            yield status(explain(job.error or RuntimeError(), name_of(path)), "bad"), *_idle()
        else:
            made = job.result
            yield (
                status("\n".join([made.report, *made.notes]), "good"),
                gr.update(value=made.view, visible=True),
                gr.update(value=str(made.file), label=f"Download {made.file.name}", visible=True),
                gr.update(interactive=True),
                gr.update(interactive=False),
            )

    def stop(self, request: gr.Request) -> None:
        """Stop what this person waits for."""
        self._desk.jobs.stop(str(request.session_hash))


_ON = gr.update(interactive=True)


def _idle() -> tuple[Any, ...]:
    """No new picture: the buttons as at the beginning."""
    return gr.skip(), gr.skip(), gr.update(interactive=True), gr.update(interactive=False)


def _shown_sizes(how: str) -> tuple[Any, Any, Any]:
    return (
        gr.update(visible=how == BY_SCALE),
        gr.update(visible=how in (BY_WIDTH, EXACT)),
        gr.update(visible=how in (BY_HEIGHT, EXACT)),
    )

"""What several tabs have: a picture, the part under the eye, and the settings of an order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from escsr.app import networks
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
from escsr.app.jobs import Job, Result
from escsr.app.uploads import name_of
from escsr.app.words import RefusedError, explain, status
from escsr.models import published

INSTANT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Of events that are answered at once."""

QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of events that compute."""

_TICK = 0.2  # seconds between two looks at a job


class Given:
    """A picture that is taken or refused as soon as it is uploaded.

    Args:
        desk: What is behind it.
        tab: Begins the names of the components in the page.
        examples: Files that are offered, by what they show.

    Attributes:
        path: Of the picture that was taken, or None.
    """

    def __init__(self, desk: Desk, tab: str, examples: Mapping[str, Path]) -> None:
        self._desk = desk
        self.path = gr.State()
        self.picture = picture_input(
            label="Picture",
            height=300,
            elem_id=f"{tab}-picture",
            placeholder=_PLACEHOLDER,
            buttons=["fullscreen"],
        )
        gr.Examples(
            [[str(file)] for file in examples.values()],
            self.picture,
            example_labels=list(examples),
            label="Examples",
            elem_id=f"{tab}-examples",
            api_visibility="private",
        )
        self.said = gr.HTML(padding=False, elem_id=f"{tab}-said")
        self.picture.change(
            self._accept, [self.picture, self.path], [self.picture, self.path, self.said], **QUEUED
        )

    def _accept(self, request: gr.Request, path: str | None, before: str | None) -> Any:
        if path is None:
            # By the person; or by us, with a message that is to stay.
            return gr.skip(), None, "" if before else gr.skip()
        try:
            self._desk.folder.uses(str(request.session_hash), path)
            upload = self._desk.uploads.read(path)
        except Exception as error:
            return None, None, status(explain(error, name_of(path)), "bad")
        height, width = upload.picture.size
        text = "\n".join([f"{upload.name}: {width}×{height} pixels", *upload.notes])
        return gr.skip(), path, status(text)


_PLACEHOLDER = "Drop a picture here, paste one, or click to choose"


class Eye:
    """Which part of a picture is looked at.

    Args:
        desk: What is behind it.
        tab: Begins the names of the components in the page.
        given: The picture; a click in it moves the part.
    """

    def __init__(self, desk: Desk, tab: str, given: Given) -> None:
        self._desk = desk
        with gr.Row():
            self.x = gr.Slider(
                0, 100, value=50, step=1, label="Left to right (%)", elem_id=f"{tab}-x"
            )
            self.y = gr.Slider(
                0, 100, value=50, step=1, label="Top to bottom (%)", elem_id=f"{tab}-y"
            )
        self.zoom = gr.Radio(
            [(f"{percent} %", percent) for percent in (100, 200, 300, 400)], value=100, label="Zoom"
        )
        given.picture.select(self._point, given.path, [self.x, self.y], **INSTANT)

    @property
    def all(self) -> list[Any]:
        """Its components: across, down, zoom."""
        return [self.x, self.y, self.zoom]

    def _point(self, path: str | None, event: gr.SelectData) -> Any:
        if path is None:
            return gr.skip(), gr.skip()
        height, width = self._desk.uploads.read(path).picture.size
        column, row = event.index
        return round(100 * column / width), round(100 * row / height)


class Settings:
    """What one order needs.

    Args:
        desk: What is behind it.
        tab: Begins the names of the components in the page.
    """

    def __init__(self, desk: Desk, tab: str) -> None:
        self._desk = desk
        kinds = list(KINDS.items())
        self.kind = gr.Radio(
            kinds, value=kinds[0][1], label="Type of picture", elem_id=f"{tab}-kind"
        )
        self.asked = gr.Checkbox(
            label="Use one of the authors' networks instead",
            info="Downloads 2 to 50 MB from github.com or huggingface.co, once",
            elem_id=f"{tab}-asked",
        )
        self.network = gr.Dropdown(
            networks.choices(),
            label="The authors' networks",
            interactive=False,
            elem_id=f"{tab}-network",
            elem_classes="network",
        )
        self.offer = gr.HTML(padding=False)
        self.bring = gr.Button("Download", visible=False, elem_id=f"{tab}-bring")
        self.ready = gr.State(0)
        self._size(tab)
        with gr.Row():
            self.type = gr.Dropdown(
                types(), value=types()[0], label="File type", elem_id=f"{tab}-type"
            )
            self.quality = gr.Slider(
                1, 100, value=95, step=1, label="Quality", info="Of JPEG, WebP, AVIF"
            )
        self.asked.change(_asked, self.asked, self.network, **INSTANT)
        gr.on(
            [self.asked.change, self.network.change],
            _offered,
            [self.asked, self.network],
            [self.offer, self.bring],
            **QUEUED,
        )
        outputs = [self.offer, self.bring, self.ready]
        self.bring.click(
            self._brought, [self.network, self.ready], outputs, concurrency_limit=None, **QUEUED
        )

    def _size(self, tab: str) -> None:
        self.how = gr.Radio(list(SIZES), value=BY_SCALE, label="Output size", elem_id=f"{tab}-how")
        self.scale = gr.Slider(
            LEAST_SCALE, MOST_SCALE, value=2, step=0.1, label="Scale", elem_id=f"{tab}-scale"
        )
        with gr.Row():
            self.width = gr.Number(
                label="Width", precision=0, minimum=1, visible=False, elem_id=f"{tab}-width"
            )
            self.height = gr.Number(
                label="Height", precision=0, minimum=1, visible=False, elem_id=f"{tab}-height"
            )
        sides = [self.scale, self.width, self.height]
        self.how.change(_shown_sizes, self.how, sides, **INSTANT)

    @property
    def of_the_picture(self) -> list[Any]:
        """What changes how the picture looks: the first arguments of `order_of`."""
        network = [self.kind, self.asked, self.network]
        return [*network, self.how, self.scale, self.width, self.height]

    @property
    def all(self) -> list[Any]:
        """The arguments of `order_of`."""
        return [*self.of_the_picture, self.type, self.quality]

    async def _brought(
        self, request: gr.Request, name: str | None, ready: int
    ) -> AsyncIterator[Any]:
        try:
            job = self._desk.jobs.submit(
                str(request.session_hash), lambda job: networks.bring(str(name), job)
            )
            async for line in watched(self._desk, job, "Downloading"):
                yield line, gr.update(interactive=False), gr.skip()
            if job.error is not None:
                raise job.error
        except Exception as error:
            yield status(explain(error), "bad"), gr.update(interactive=True), gr.skip()
            return
        if job.result is None:
            yield status("Stopped."), gr.update(interactive=True), gr.skip()
        else:
            yield status(f"{name} is ready.", "good"), _HIDDEN, ready + 1


_HIDDEN = gr.update(visible=False, interactive=True)


def order_of(
    kind: str,
    asked: bool,
    network: str | None,
    how: str,
    scale: float | None,
    width: float | None,
    height: float | None,
    type: str = types()[0],  # noqa: A002
    quality: float = 95,
) -> Order:
    """What the components say.

    Raises:
        RefusedError: If something is missing, or must be downloaded first.
        ValueError: If a value is out of its range.
    """
    size = size_arguments(how, scale, width, height)
    if asked and not network:
        raise RefusedError("Choose one of the authors' networks.")
    if network and asked and not networks.is_here(network):
        raise RefusedError(f"{network} is not on this machine yet: press Download first.")
    if not asked and kind not in KINDS.values():
        raise RefusedError("Choose the type of the picture.")
    model = str(network) if asked else kind
    return Order(model=model, size=size, type=type, quality=int(quality))


async def watched(
    desk: Desk, job: Job[Result], doing: str = "Upscaling", *, to_the_end: bool = False
) -> AsyncIterator[str]:
    """Lines for the page until a job is over; it is stopped where nobody looks any more.

    Args:
        desk: What is behind it.
        job: What is watched.
        doing: What it does.
        to_the_end: Whether a job that is stopped is watched until its thread is done: it may have
            something to give. Reading a large file, for one, cannot be interrupted.
    """
    try:
        while not job.is_over and (to_the_end or not job.stop.is_set()):
            yield status(job.line(desk.jobs.ahead(job), doing), share=job.share)
            await asyncio.sleep(_TICK)
    finally:
        job.end()


def stopping(desk: Desk) -> Callable[[gr.Request], None]:
    """What a stop button does: all that this person waits for ends."""

    def stop(request: gr.Request) -> None:
        desk.jobs.stop(str(request.session_hash))

    return stop


def _asked(asked: bool) -> Any:
    return gr.update(interactive=asked)


def _offered(asked: bool, name: str | None) -> tuple[str, Any]:
    """What a download would bring, and its button."""
    if not asked or not name or name not in published():
        return "", _HIDDEN
    if networks.is_here(name):
        return status(f"{name} is on this machine."), _HIDDEN
    what = networks.about(name)
    text = f"{name} is not on this machine yet. A download brings {what}."
    return status(text), gr.update(visible=True, interactive=True)


def _shown_sizes(how: str) -> tuple[Any, Any, Any]:
    return (
        gr.update(visible=how == BY_SCALE),
        gr.update(visible=how in (BY_WIDTH, EXACT)),
        gr.update(visible=how in (BY_HEIGHT, EXACT)),
    )

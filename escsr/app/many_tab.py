"""The second tab: many pictures into a zip."""

import html
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from escsr.app.components import files_input
from escsr.app.desk import Desk
from escsr.app.many import Batch, upscale_batch
from escsr.app.parts import INSTANT, QUEUED, Settings, order_of, stopping, watched
from escsr.app.words import explain, status


def build_many(desk: Desk) -> None:
    """Lay out the tab, and connect it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            files = files_input(label="Pictures", height=220, elem_id="many-files")
            settings = Settings(desk, "many")
            with gr.Row():
                run = gr.Button("Upscale all", variant="primary", elem_id="many-run")
                stop = gr.Button("Stop", interactive=False, elem_id="many-stop")
        with gr.Column(scale=3, min_width=320):
            report = gr.HTML(padding=False, elem_id="many-report")
            table = gr.HTML(padding=False, elem_id="many-table")
            download = gr.DownloadButton("Download the zip", elem_id="many-zip", visible=False)
    run.click(
        _running(desk),
        [files, *settings.all],
        [report, table, download, run, stop],
        concurrency_limit=None,
        **QUEUED,
    )
    stop.click(stopping(desk), None, None, **INSTANT)


def _running(desk: Desk) -> Any:
    async def run(
        request: gr.Request, paths: list[str] | None, *choices: Any
    ) -> AsyncIterator[Any]:
        owner = str(request.session_hash)
        try:
            batch = Batch.of(paths or [], desk.limits.files)
            for path in paths or []:
                desk.folder.uses(owner, path)
            order = order_of(*choices)
            job = desk.jobs.submit(owner, lambda job: upscale_batch(desk, owner, batch, order, job))
        except Exception as error:
            yield status(explain(error), "bad"), "", gr.update(visible=False), *_FREE
            return
        hidden = gr.update(visible=False)
        async for line in watched(desk, job, to_the_end=True):
            yield line, as_table(batch), hidden, *_BUSY
        if job.error is not None:
            said = status(explain(job.error, "the batch"), "bad")
        else:
            stopped = "Stopped. " if job.state == "stopped" else ""
            said = status(stopped + batch.summary, "good" if batch.file else "bad")
        zipped = hidden
        if batch.file is not None:
            zipped = gr.update(value=str(batch.file), visible=True)
        yield said, as_table(batch), zipped, *_FREE

    return run


_BUSY = gr.update(interactive=False), gr.update(interactive=True)
_FREE = gr.update(interactive=True), gr.update(interactive=False)


def as_table(batch: Batch) -> str:
    """The files and what became of them, as HTML."""
    rows = "".join(
        f'<tr class="{row.state}"><td>{html.escape(row.name)}</td><td>{row.state}</td>'
        f"<td>{html.escape(row.text)}</td></tr>"
        for row in batch.rows
    )
    head = '<th scope="col">File</th><th scope="col">State</th><th scope="col">Result</th>'
    return f'<table class="files"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

"""Gradio's components as the page uses them: files are taken as they came.

Methods of single components are replaced, because Gradio writes a file beside the module of each
class that is derived from one of its own.
"""

from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

Input = TypeVar("Input", gr.Image, gr.File)


def picture_input(**options: Any) -> gr.Image:
    """A picture whose function gets the path of the upload; Gradio would decode it by Pillow."""
    picture = gr.Image(type="filepath", sources=["upload", "clipboard"], **options)
    picture.preprocess = _path_of  # type: ignore[method-assign]
    return _uploads_only(picture)


def files_input(**options: Any) -> gr.File:
    """Files whose function gets their paths."""
    return _uploads_only(gr.File(file_count="multiple", type="filepath", **options))


def _path_of(payload: Any) -> str | None:
    return None if payload is None else str(payload.path)


def _uploads_only(component: Input) -> Input:
    """Refuse addresses: Gradio would fetch what they lead to."""
    move = component.async_move_resource_to_block_cache

    async def checked(url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("Pictures are uploaded, not fetched from an address.")
        return await move(url_or_file_path)

    component.async_move_resource_to_block_cache = checked  # type: ignore[method-assign]
    return component

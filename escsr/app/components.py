"""Gradio's components as the page uses them: files are taken as they came, and only uploads."""

from abc import ABCMeta
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr
from gradio.component_meta import ComponentMeta

Input = TypeVar("Input", gr.Image, gr.File)


def picture_input(**options: Any) -> gr.Image:
    """A picture whose function gets the path of the upload; Gradio would decode it by Pillow."""
    return _Picture(type="filepath", sources=["upload", "clipboard"], **options)


def files_input(**options: Any) -> gr.File:
    """Files whose function gets their paths."""
    return _Files(file_count="multiple", type="filepath", **options)


def _derived(component: type[Input], **methods: Any) -> type[Input]:
    """A class of our own, shown by the page like the one it comes from.

    Gradio's metaclass would write a file beside this module, so its parent makes the class. To
    replace methods of an instance is no way: Gradio makes new instances by their class.
    """

    async def moved(self: Any, url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):  # Gradio would fetch what it leads to
            raise gr.Error("Pictures are uploaded, not fetched from an address.")
        found: str | None = await component.async_move_resource_to_block_cache(
            self, url_or_file_path
        )
        return found

    methods |= {
        "async_move_resource_to_block_cache": moved,
        "get_block_name": lambda self: component.__name__.lower(),
        "__module__": __name__,
    }
    name = f"Uploaded{component.__name__}"
    return cast("type[Input]", ABCMeta.__new__(ComponentMeta, name, (component,), methods))


def _path_of(_self: gr.Image, payload: Any) -> str | None:
    return None if payload is None else str(payload.path)


_Picture = _derived(gr.Image, preprocess=_path_of)
_Files = _derived(gr.File)

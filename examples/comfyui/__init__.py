"""ESC networks in ComfyUI: two nodes, and their files in the nodes that ComfyUI brings."""

from escsr.integrations.spandrel import install

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

install()  # from now on "Load Upscale Model" opens ESC files, too

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

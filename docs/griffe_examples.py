"""Shows docstrings' "Example:" as code. Griffe knows the section only by its plural."""

import re

import griffe


class Examples(griffe.Extension):
    """Renames the section while a docstring is read; the source is left alone."""

    def on_object(self, *, obj, **kwargs):
        """Griffe calls this with each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )

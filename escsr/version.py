"""The version of the library."""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
"""Version of the library (semantic versioning)."""

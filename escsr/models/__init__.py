"""Weights by name: those included in the library, and published ones, fetched on first use."""

from escsr.models.errors import NotFetchedError
from escsr.models.locating import fetch, locate
from escsr.models.shipped import ALIASES, embedded, resolve
from escsr.models.table import Published, published

__all__ = [
    "ALIASES",
    "NotFetchedError",
    "Published",
    "embedded",
    "fetch",
    "locate",
    "published",
    "resolve",
]

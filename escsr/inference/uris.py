"""Files by URI (s3://, gs://, file://), through the file systems of Apache Arrow."""

import importlib
from pathlib import Path, PurePosixPath
from typing import Any

from escsr.files import write_bytes as write_local
from escsr.picture_files import IMAGE_SUFFIXES


def is_uri(name: str) -> bool:
    """Whether a name is a URI; a drive such as C: is not."""
    scheme, colon, rest = name.partition("://")
    return bool(colon and rest) and len(scheme) > 1 and scheme.isalnum()


def _opened(name: str) -> tuple[Any, str]:
    """The file system of a URI, and the path in it.

    Raises:
        ModuleNotFoundError: If Apache Arrow is not installed.
        ValueError: If the kind of file system is unknown.
    """
    try:
        fs = importlib.import_module("pyarrow.fs")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "URIs are read by Apache Arrow, which is not installed: pip install 'escsr[cluster]'"
        ) from None
    try:
        system, path = fs.FileSystem.from_uri(name)
    except (ValueError, OSError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    return system, path


def read_bytes(name: str) -> bytes:
    """The contents of a path or URI."""
    if not is_uri(name):
        return Path(name).read_bytes()
    system, path = _opened(name)
    with system.open_input_stream(path) as stream:
        return bytes(stream.read())


def write_bytes(name: str, data: bytes) -> None:
    """Write a file completely or not at all; missing folders are created."""
    if not is_uri(name):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_local(name, data)
        return
    system, path = _opened(name)
    if system.type_name == "local":
        write_bytes(path, data)
        return
    with system.open_output_stream(path) as stream:  # object stores publish it on closing
        stream.write(data)


def existing(names: list[str]) -> set[str]:
    """The paths and URIs that exist."""
    found = {name for name in names if not is_uri(name) and Path(name).exists()}
    uris = [name for name in names if is_uri(name)]
    if uris:
        system, _ = _opened(uris[0])
        infos = system.get_file_info([_opened(name)[1] for name in uris])
        found |= {
            name for name, info in zip(uris, infos, strict=True) if info.type.name != "NotFound"
        }
    return found


def list_pictures(name: str) -> list[tuple[str, str]]:
    """The pictures at a URI: itself, or the non-hidden pictures below it, in order.

    Returns:
        The URI of each, and its name relative to the given one.

    Raises:
        FileNotFoundError: If there are none.
    """
    system, path = _opened(name)
    info = system.get_file_info(path)
    if info.type.name == "File":
        return [(name, path.rsplit("/", 1)[-1])]
    found = []
    if info.type.name == "Directory":
        selector = importlib.import_module("pyarrow.fs").FileSelector(path, recursive=True)
        for entry in system.get_file_info(selector):
            below = entry.path[len(path.rstrip("/")) :].lstrip("/")
            hidden = any(part.startswith(".") for part in below.split("/"))
            is_picture = PurePosixPath(below).suffix.lower() in IMAGE_SUFFIXES
            if entry.type.name == "File" and is_picture and not hidden:
                found.append((f"{name.rstrip('/')}/{below}", below))
    if not found:
        raise FileNotFoundError(f"there are no pictures in {name}")
    return sorted(found, key=lambda pair: pair[1])

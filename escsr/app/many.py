"""Many pictures, one after another, into a zip that is written as it goes."""

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from escsr.app.choices import Order
from escsr.app.desk import Desk
from escsr.app.jobs import Job
from escsr.app.uploads import name_of, read_upload
from escsr.app.words import RefusedError, explain
from escsr.inference import Cancelled


@dataclass
class Row:
    """One file of a batch.

    Attributes:
        path: The upload.
        state: "waiting", "working", "done", "failed" or "stopped".
        text: What became of it.
    """

    path: Path
    state: str = "waiting"
    text: str = ""

    @property
    def name(self) -> str:
        """What the person calls it."""
        return name_of(self.path)


@dataclass
class Batch:
    """Several pictures on their way.

    Attributes:
        rows: The files, in their order.
        file: The zip, once a picture is in it.
    """

    rows: list[Row]
    file: Path | None = None
    _taken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, paths: Sequence[str | Path], most: int) -> "Batch":
        """A batch of uploaded files.

        Raises:
            RefusedError: If there are none, or more than ``most``.
        """
        if not paths:
            raise RefusedError("Add some pictures first.")
        if len(paths) > most:
            raise RefusedError(
                f"{len(paths)} files are too many: at most {most} are accepted at a time"
            )
        return cls([Row(Path(path)) for path in paths])

    @property
    def summary(self) -> str:
        """How many are done, and how many failed."""
        done = sum(row.state == "done" for row in self.rows)
        failed = sum(row.state == "failed" for row in self.rows)
        parts = [f"{done} of {len(self.rows)} pictures are done"]
        if failed:
            parts.append("1 failed" if failed == 1 else f"{failed} failed")
        return ", ".join(parts) + "."

    def free_name(self, name: str) -> str:
        """A name that no other picture in the zip has, whatever its case."""
        stem, suffix, number = Path(name).stem, Path(name).suffix, 2
        while name.lower() in self._taken:
            name, number = f"{stem} ({number}){suffix}", number + 1
        self._taken.add(name.lower())
        return name


def upscale_batch(desk: Desk, owner: str, batch: Batch, order: Order, job: Job[Batch]) -> Batch:
    """Make all pictures; one that fails is told in its row, and the others are made.

    Raises:
        Cancelled: If the job is stopped; what is done is in the zip.
    """
    job.done(0, len(batch.rows))
    target = desk.folder.new(owner) / "pictures.zip"
    # Stored: pictures are compressed already.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, row in enumerate(batch.rows):
            row.state = "working"
            try:
                row.text = _one(desk, owner, row, batch, order, job, archive)
                row.state = "done"
            except Cancelled:
                for left in batch.rows[number:]:
                    left.state = "stopped"
                break
            except Exception as error:
                row.state, row.text = "failed", explain(error, row.name)
            job.done(number + 1, len(batch.rows))
    if any(row.state == "done" for row in batch.rows):
        batch.file = target
    else:
        with suppress(OSError):
            target.unlink()
    if job.stop.is_set():
        raise Cancelled
    return batch


def _one(
    desk: Desk,
    owner: str,
    row: Row,
    batch: Batch,
    order: Order,
    job: Job[Batch],
    archive: zipfile.ZipFile,
) -> str:
    """One picture into the zip; returns what was done."""
    upload = read_upload(row.path, desk.limits)
    picture, _, file, notes = desk.enlarged(
        owner, upload, order, progress=job.tell_part, cancel=job.stop
    )
    name = batch.free_name(file.name)
    archive.write(file, name)
    file.unlink()
    height, width = picture.size
    return "; ".join([f"{width}×{height} pixels", *notes])

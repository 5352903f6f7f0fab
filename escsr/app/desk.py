"""What the page does, without the page: every tab's work in plain functions."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from escsr.app.choices import Order
from escsr.app.folder import Folder
from escsr.app.jobs import Job, Jobs
from escsr.app.limits import Limits
from escsr.app.notes import collecting
from escsr.app.pictures import Region, for_page, preview, shown_size, zoomed
from escsr.app.sessions import Sessions
from escsr.app.uploads import Upload, Uploads
from escsr.app.words import RefusedError, amount, duration, megapixels
from escsr.images import Picture, check_writable, write_image
from escsr.inference import Plan, Upscaler
from escsr.inference.watching import Cancel

View = tuple[str, str]
"""Files of two pictures of one size: before and after."""


class Enlarged(NamedTuple):
    """An enlarged picture, how it was planned, its file, and what the person should know."""

    picture: Picture
    plan: Plan
    file: Path
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A whole picture that was made.

    Attributes:
        file: For download.
        view: To look at, at most 2048 pixels a side.
        report: What was done, in one line.
        notes: What the person should know.
    """

    file: Path
    view: View
    report: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """All that the page's functions share.

    Attributes:
        limits: What is taken.
        sessions: The networks.
        folder: Where files lie.
        uploads: What was given.
        jobs: What is going on.
    """

    limits: Limits
    sessions: Sessions
    folder: Folder
    uploads: Uploads = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        """Make what follows from the limits."""
        object.__setattr__(self, "uploads", Uploads(self.limits))
        object.__setattr__(self, "jobs", Jobs(self.limits))

    def leave(self, owner: str) -> None:
        """Somebody has closed the page: stop their work, remove their files."""
        self.jobs.stop(owner)
        self.folder.drop(owner)

    def close(self) -> None:
        """Stop everything and remove all files."""
        self.jobs.close()
        self.folder.close()

    def plan(self, upload: Upload, order: Order) -> tuple[Upscaler, Plan]:
        """What an order means for a picture.

        Raises:
            RefusedError: If the result would be larger than the limit, or its format cannot hold
                it.
            ValueError: If the size is impossible.
        """
        session = self.sessions[order.model]
        picture = upload.picture
        alpha = picture.alpha is not None
        plan = session.plan(picture.size, alpha=alpha, depth=picture.depth, **order.size)
        height, width = plan.size
        if height * width > self.limits.made:
            most = (self.limits.made / (picture.size[0] * picture.size[1])) ** 0.5
            raise RefusedError(
                f"{upload.name}: {width}×{height} pixels would be {megapixels(height * width)}; at "
                f"most {megapixels(self.limits.made)} are made here. Choose a smaller size, such "
                f"as ×{int(10 * most) / 10:g}"
            )
        check_writable(f"{Path(upload.name).stem}{order.suffix(upload.head)}", plan.size)
        return session, plan

    def preview(
        self, owner: str, path: str, order: Order, x: float, y: float, zoom: int
    ) -> tuple[View, tuple[str, ...]]:
        """A part of the picture before and after; see `pictures.preview`."""
        upload = self.uploads.read(path)
        session, plan = self.plan(upload, order)
        region = Region.around(upload.picture.size, x / 100, y / 100)
        notes: list[str] = []
        pair = preview(session, upload.picture, region, plan.size, notify=notes.append)
        before, after = (zoomed(one, zoom) for one in pair)
        return self.view(owner, before, after, "png"), tuple(notes)

    def enlarged(
        self,
        owner: str,
        upload: Upload,
        order: Order,
        *,
        progress: Callable[[float], None],
        cancel: Cancel,
    ) -> Enlarged:
        """Enlarge a picture as ordered, and write it to a file.

        Raises:
            RefusedError: See `plan`.
            ValueError: See `plan`.
            Cancelled: If ``cancel`` ends the work.
        """
        session, plan = self.plan(upload, order)
        with collecting() as notes:
            notes.extend(upload.notes)
            picture = session(
                upload.picture,
                progress=progress,
                cancel=cancel,
                notify=notes.append,
                **order.size,
            )
            file = self.write(owner, upload, picture, order)
        return Enlarged(picture, plan, file, self.plain(notes, file))

    def whole(self, owner: str, path: str, order: Order, job: Job[Made]) -> Made:
        """The whole picture, written to a file."""
        upload = self.uploads.read(path)
        job.check()
        picture, plan, file, notes = self.enlarged(
            owner, upload, order, progress=job.tell, cancel=job.stop
        )
        shown = shown_size(picture.size)
        kind = "png" if picture.alpha is not None else "jpg"
        view = self.view(owner, for_page(upload.picture, shown), for_page(picture, shown), kind)
        report = _report(upload, picture, order, plan, job.seconds, file)
        return Made(file=file, view=view, report=report, notes=notes)

    @staticmethod
    def plain(notes: list[str], file: Path) -> tuple[str, ...]:
        """Each note once; those of writing name the file with its folder, which stays here."""
        return tuple(dict.fromkeys(note.replace(f"{file.parent}{os.sep}", "") for note in notes))

    def write(self, owner: str, upload: Upload, picture: Picture, order: Order) -> Path:
        """Write a result under a good name."""
        height, width = picture.size
        stem = Path(upload.name).stem
        name = f"{stem}_{width}x{height}{order.suffix(upload.head)}"
        file = self.folder.new(owner) / name
        write_image(file, picture, quality=order.quality)
        return file

    def view(self, owner: str, before: Picture, after: Picture, kind: str) -> View:
        """Write two pictures for a browser."""
        folder = self.folder.new(owner)
        options: dict[str, Any] = {"quality": 92, "compression": 1, "strip_metadata": True}
        files = folder / f"before.{kind}", folder / f"after.{kind}"
        with collecting():
            for file, picture in zip(files, (before, after), strict=True):
                write_image(file, picture, **options)
        return str(files[0]), str(files[1])


def _report(
    upload: Upload, picture: Picture, order: Order, plan: Plan, seconds: float, file: Path
) -> str:
    (height, width), (rows, columns) = upload.picture.size, picture.size
    return (
        f"{upload.name}: {width}×{height} → {columns}×{rows} pixels with {order.model!r} in "
        f"{duration(seconds)}, up to {amount(plan.memory)} of memory; the file has "
        f"{amount(file.stat().st_size)}."
    )

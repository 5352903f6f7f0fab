"""Many files in one go. Oracle: the files laid out in each test, and events in their order."""

import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from escsr.images import Picture, read_image, write_image
from escsr.inference import batches
from escsr.inference.batches import upscale_files
from escsr.picture_targets import PictureTask


class Silent:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def begin(self, task: PictureTask) -> None:
        pass

    def advance(self, task: PictureTask, share: float) -> None:
        pass

    def end(self, outcome: batches.Outcome) -> None:
        self.ended.append(f"{outcome.task.name} {outcome.status}")


def doubled(picture: Picture, *, progress: object = None, notify: object = None) -> Picture:
    return Picture(pixels=picture.pixels.repeat(2, axis=0).repeat(2, axis=1))


def double(size: tuple[int, int]) -> tuple[int, int]:
    return 2 * size[0], 2 * size[1]


def make_tasks(folder: Path, count: int) -> list[PictureTask]:
    tasks = []
    for number in range(count):
        source = folder / f"{number:02}.png"
        write_image(source, Picture(pixels=np.full((3, 4, 3), number, np.uint8)))
        tasks.append(PictureTask(source, folder / "out" / source.name, source.name))
    return tasks


def run(tasks: list[PictureTask], **changed: object) -> list[batches.Outcome]:
    options = {"write": write_image, "size_of": double, "listener": Silent(), **changed}
    return upscale_files(tasks, options.pop("enlarge", doubled), **options)


def test_reading_and_writing_go_on_beside_computing(tmp_path):
    tasks = make_tasks(tmp_path, 4)
    read = {task.source: threading.Event() for task in tasks}
    computing_last = threading.Event()

    def noted_read(path):
        read[path].set()
        return read_image(path)

    def enlarge(picture, **_):
        number = int(picture.pixels[0, 0, 0])
        if number < 3:  # would wait in vain, if pictures were read one after another
            assert read[tasks[number + 1].source].wait(20)
        if number == 3:
            computing_last.set()
        return doubled(picture)

    def write(path, picture):
        if path.name == "02.png":
            assert computing_last.wait(20)
        write_image(path, picture)

    outcomes = run(tasks, enlarge=enlarge, write=write, read=noted_read)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert all(read_image(task.target).size == (6, 8) for task in tasks)


def test_pictures_in_memory_do_not_add_up(tmp_path):
    alive: weakref.WeakSet[Picture] = weakref.WeakSet()
    most = 0

    def enlarge(picture, **_):
        nonlocal most
        result = doubled(picture)
        alive.update((picture, result))
        gc.collect()
        most = max(most, len(alive))
        return result

    run(make_tasks(tmp_path, 30), enlarge=enlarge)
    assert most <= 4  # the one that is written and its source, the one that is computed


def test_failures_and_notices_are_each_file_s_own(tmp_path):
    tasks = make_tasks(tmp_path, 6)
    tasks[1].source.write_bytes(tasks[1].source.read_bytes()[:50])
    pixels, alpha = np.zeros((3, 4, 3), np.uint8), np.full((3, 4), 90, np.uint8)
    write_image(tasks[2].source, Picture(pixels=pixels, alpha=alpha))
    tasks[2] = PictureTask(tasks[2].source, tmp_path / "out/2.jpg", "2")
    tasks[3] = PictureTask(tasks[3].source, tasks[0].source / "3.png", "3")  # below a file

    def enlarge(picture, *, progress, notify):
        if picture.pixels[0, 0, 0] == 4:
            raise RuntimeError("no more")
        notify(f"value {picture.pixels[0, 0, 0]}")
        return Picture(pixels=doubled(picture).pixels, alpha=picture.alpha and None)

    def keeping_alpha(picture, **options):
        if picture.alpha is None:
            return enlarge(picture, **options)
        return Picture(pixels=picture.pixels, alpha=picture.alpha)

    listener = Silent()
    outcomes = run(tasks, enlarge=keeping_alpha, listener=listener)
    statuses = ["done", "failed", "done", "failed", "failed", "done"]
    assert [outcome.status for outcome in outcomes] == statuses
    assert len(listener.ended) == 6
    assert outcomes[0].notices == ["value 0"]
    assert "transparency" in outcomes[2].notices[0]  # told by the thread that writes
    assert str(outcomes[4].error) == "no more"
    assert outcomes[4].as_json()["error"] == "no more"
    assert outcomes[5].notices == ["value 5"]


def test_what_cannot_be_written_is_not_computed(tmp_path):
    tasks = make_tasks(tmp_path, 2)
    tasks[0] = PictureTask(tasks[0].source, tmp_path / "out/0.webp", "0")
    computed = []

    def enlarge(picture, **_):
        computed.append(picture)
        return doubled(picture)

    outcomes = run(tasks, enlarge=enlarge, size_of=lambda size: (16384, 3))
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "sides of at most 16383" in str(outcomes[0].error)
    assert len(computed) == 1


def test_a_full_disk_ends_the_batch(tmp_path):
    def write(path, picture):
        raise OSError(28, "No space left on device", str(path))

    outcomes = run(make_tasks(tmp_path, 5), write=write)
    assert [outcome.status for outcome in outcomes][:2] == ["failed"] + [outcomes[1].status]
    assert [outcome.status for outcome in outcomes][2:] == ["not tried"] * 3


def test_a_picture_that_does_not_fit_beside_another_is_tried_alone(tmp_path):
    tasks = make_tasks(tmp_path, 3)
    tried: list[int] = []

    def enlarge(picture, **_):
        number = int(picture.pixels[0, 0, 0])
        tried.append(number)
        if tried == [0, 1]:
            raise MemoryError
        return doubled(picture)

    outcomes = run(tasks, enlarge=enlarge)
    assert tried == [0, 1, 1, 2]
    assert [outcome.status for outcome in outcomes] == ["done"] * 3


def test_an_interruption_finishes_what_is_being_written(tmp_path):
    tasks = make_tasks(tmp_path, 4)
    outcomes: list[batches.Outcome] = []

    def enlarge(picture, **_):
        if picture.pixels[0, 0, 0] == 2:
            raise KeyboardInterrupt
        return doubled(picture)

    with pytest.raises(KeyboardInterrupt):
        run(tasks, enlarge=enlarge, outcomes=outcomes)
    assert [o.status for o in outcomes] == ["done", "done", "not tried", "not tried"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00.png", "01.png"]


def test_lanes_share_out_the_files(tmp_path):
    tasks = make_tasks(tmp_path, 5)
    together = threading.Barrier(2, timeout=60)
    threads = set()

    def lane(picture, **told):
        if int(picture.pixels[0, 0, 0]) < 2:
            together.wait()  # the first two, which no single lane has at the same time
        threads.add(threading.get_ident())
        return doubled(picture)

    listener = Silent()
    outcomes = run(tasks, enlarge=[lane, lane], listener=listener)
    assert [outcome.status for outcome in outcomes] == ["done"] * 5
    assert sorted(listener.ended) == [f"{task.name} done" for task in tasks]
    assert len(threads) == 2
    for number, task in enumerate(tasks):
        assert (read_image(task.target).pixels == number).all()
        assert read_image(task.target).size == (6, 8)


def test_what_ends_one_lane_ends_all(tmp_path):
    tasks = make_tasks(tmp_path, 9)

    def interrupted(picture, **told):
        raise batches.Cancelled

    with pytest.raises(batches.Cancelled):
        run(tasks, enlarge=[interrupted, interrupted])
    assert len(list((tmp_path / "out").iterdir())) == 0

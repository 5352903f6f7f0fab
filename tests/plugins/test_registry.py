"""What a registry does with the plug-ins it finds. Oracle: what was put there."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from escsr.registry import Registry

HERE = __name__.partition(".")[0]  # of what this module registers by hand


class Base:
    """What entries are to be."""


class Good(Base):
    """A good one.

    With more to say.
    """


@dataclass
class Dist:
    name: str
    version: str = "1.0"


@dataclass
class Point:
    name: str
    load: Callable[[], object]
    dist: Dist | None
    value: str = "somewhere:thing"


def failing() -> object:
    raise ImportError("no nowhere")


def leaving() -> object:
    raise SystemExit("goodbye")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    def make(*points: Point) -> Registry:
        monkeypatch.setattr("escsr.registry.entry_points", lambda group: list(points))
        made: Registry = Registry("thing", entry_point_group="x", contract=Base)
        made.register("own", Good)
        return made

    return make


def test_a_plugin_is_an_entry_like_any_other(table: Callable[..., Registry]) -> None:
    found = table(Point("new", lambda: partial(Good, size=3), Dist("maker")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(found) == ["new", "own"]
    assert found.package("new") == "maker 1.0"
    assert found.package("own") == HERE
    assert found.summary("own") == "A good one."
    assert found.summary("new") == "A good one. With size=3."
    assert found.broken == ()


@pytest.mark.parametrize(
    ("name", "load", "reason"),
    [
        ("bad", failing, "ImportError: no nowhere"),
        ("bad", leaving, "SystemExit: goodbye"),
        ("bad", lambda: 3, "it is a int, not a class or function"),
        ("bad", lambda: dict, "class dict does not derive from .*Base"),
        ("bad", lambda: partial(dict, a=1), "class dict does not derive from .*Base"),
        ("own", lambda: Base, "the name 'own' is already taken"),
    ],
)
def test_a_broken_plugin_is_named(
    table: Callable[..., Registry], name: str, load: Callable[[], object], reason: str
) -> None:
    found = table(Point(name, load, Dist("maker")), Point("new", lambda: Good, Dist("other")))
    with pytest.warns(UserWarning, match=f"thing plug-in '{name}' of maker 1.0.*{reason}"):
        assert list(found) == ["new", "own"]
    assert found.get("own") is Good
    (broken,) = found.broken
    assert (broken.name, broken.package) == (name, "maker 1.0")
    if name == "bad":
        with pytest.raises(ValueError, match=f"thing 'bad' of maker 1.0 was left out: .*{reason}"):
            found.get("bad")


def test_of_two_plugins_with_one_name_the_same_is_always_taken(
    table: Callable[..., Registry],
) -> None:
    class Other(Base):
        """Another."""

    points = [Point("new", lambda: Other, Dist("b")), Point("new", lambda: Good, Dist("a"))]
    for order in (points, points[::-1]):
        found = table(*order)
        with pytest.warns(UserWarning, match="of b 1.0.*'new' is already taken by a 1.0"):
            assert found.get("new") is Good


def test_a_plugin_may_register_itself_as_well(table: Callable[..., Registry]) -> None:
    def load() -> object:
        found.register("new", Good)
        return Good

    found = table(Point("new", load, Dist("maker")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.get("new") is Good


def test_nothing_stays_of_a_plugin_that_failed_half_way(table: Callable[..., Registry]) -> None:
    def half() -> object:
        found.register("first", Good)
        raise RuntimeError("then this")

    found = table(Point("second", half, Dist("maker")))
    with pytest.warns(UserWarning, match="RuntimeError: then this"):
        assert list(found) == ["own"]

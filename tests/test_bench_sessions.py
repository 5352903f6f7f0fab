"""`escsr bench --sessions` on this machine. Oracle: the figures' own arithmetic."""

from escsr.bench import measure_sessions
from escsr.bench.sessions import Comparison


def test_sessions_are_compared_with_the_bare_network() -> None:
    found = measure_sessions(threads=1, repeats=1)
    assert len(found) == 4
    for one in found:
        assert one.seconds > 0
        assert one.ratio == one.seconds / one.baseline
    assert Comparison(what="", seconds=3, baseline=2, against="").ratio == 1.5


def test_ways_of_large_pictures_are_measured_on_small_ones() -> None:
    from escsr.bench import measure_large

    found = {one.way: one for one in measure_large(side=48, rows=16, tile=16, repeats=1, threads=1)}
    assert found["whole"].ratio == 1
    assert found["bands in memory"].difference < 0.01
    assert found["bands from a spool"].writing > 0
    assert found["tiles"].difference > found["bands from a spool"].difference

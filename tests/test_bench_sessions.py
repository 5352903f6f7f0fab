"""`escsr bench --sessions` on this machine. Oracle: the figures' own arithmetic."""

from escsr.bench import Comparison, measure_sessions


def test_sessions_are_compared_with_the_bare_network() -> None:
    found = measure_sessions(threads=1, repeats=1)
    assert len(found) == 4
    for one in found:
        assert one.seconds > 0
        assert one.ratio == one.seconds / one.baseline
    assert Comparison(what="", seconds=3, baseline=2, against="").ratio == 1.5

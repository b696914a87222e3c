"""The bench's own decisions: what a ratio is, what a figure asks, and what a profile says."""

import pytest

from tests.bench.figures import FIGURES, misses, workloads_of
from tests.bench.folded import EVENT_LOOP, merge, parse_folded, shares, under
from tests.bench.report import number
from tests.bench.samples import Sample, difference, middle, ratio
from tests.bench.servers.websocket_echo import echo
from tests.bench.svg import bars, flame
from tests.bench.websocket import answer_frame, masked_frame


def samples(**rates: list[float]) -> list[Sample]:
    return [
        Sample("c32", target, number, rate, p50=1000 / rate)
        for target, values in rates.items()
        for number, rate in enumerate(values)
    ]


class TestRatio:
    def test_compares_within_rounds(self) -> None:
        # A machine that was slow in round 2 was slow for both: the ratio does not move.
        taken = samples(nimbus=[50, 5, 50], nginx=[100, 10, 100])
        assert ratio(taken, "c32", "nimbus", "nginx") == 0.5

    def test_leaves_out_rounds_that_lack_one(self) -> None:
        assert ratio(samples(nimbus=[50, 90], nginx=[100]), "c32", "nimbus", "nginx") == 0.5

    def test_of_what_was_not_measured(self) -> None:
        assert ratio(samples(nimbus=[50]), "c32", "nimbus", "envoy") is None

    def test_difference_and_middle(self) -> None:
        taken = samples(nimbus=[10, 20, 10], direct=[20, 100, 20])
        assert difference(taken, "c32", "nimbus", "direct", "p50") == 50
        assert middle(taken, "c32", "nimbus") == 10


class TestFigures:
    @pytest.mark.parametrize(
        ("name", "value", "met"),
        [
            ("ratio_nginx_c32", 0.36, True),
            ("ratio_nginx_c32", 0.35, False),
            ("ratio_caddy_c32", 1.0, False),
            ("ratio_caddy_c32", 1.01, True),
            ("rss_growth_stalled_mib", 30, True),
            ("rss_growth_stalled_mib", 31, False),
            ("ratio_nginx_bridge_c32", 0.01, True),
        ],
    )
    def test_met(self, name: str, value: float, met: bool) -> None:
        assert [figure.name for figure in misses({name: value})] == ([] if met else [name])

    def test_names_are_unique(self) -> None:
        assert len({figure.name for figure in FIGURES}) == len(FIGURES)

    def test_a_figure_stands_for_its_measurement(self) -> None:
        assert workloads_of({"ratio_ws_nginx", "memory", "profile"}) == {"websocket", "memory", "profile"}
        with pytest.raises(ValueError, match="ratio_ngnix"):
            workloads_of({"ratio_ngnix"})


class TestProfile:
    TEXT = (
        "main (a.py:1);Runner.run (asyncio/runners.py:86) 10\n"
        "main (a.py:1);Runner.run (asyncio/runners.py:86);send (nimbus_gateway/proxy/http.py:3)"
        ";dumps (json/x.py:1) 30\n"
        "other thread (b.py:1) 99\n"
    )

    def test_time_in_a_library_counts_for_the_caller(self) -> None:
        stacks = under(parse_folded(self.TEXT), "Runner.run")
        assert shares(stacks) == [("proxy/http.py", 0.75), (EVENT_LOOP, 0.25)]

    def test_small_frames_are_pruned(self) -> None:
        root = merge(under(parse_folded(self.TEXT), "Runner.run"), least=0.5)
        assert root.count == 40
        assert list(root.children) == ["send (nimbus_gateway/proxy/http.py:3)"]

    def test_pictures_escape_names(self) -> None:
        assert "&lt;module&gt;" in flame("t", merge(parse_folded("<module> (a.py:1) 1")))
        assert "<b>" not in bars("t", [("<b>", [("<b>", 1.0)])], highlight="")


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (4084.6, "4085"), (30, "30"), (999.4, "999")])
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert number(value) == text


class TestWebSocketFrames:
    def test_echo_answers_each_whole_frame(self) -> None:
        payload = bytes(range(130))
        frame = masked_frame(payload)
        answer, rest = echo(frame * 2 + frame[:7])
        assert answer == answer_frame(payload) * 2
        assert rest == frame[:7]

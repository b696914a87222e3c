"""How slow is too slow, as tables."""

import pytest
from nimbus_gateway.guard.pace import (
    BODY_GRACE_SECONDS,
    CROWDED_STALLED_SECONDS,
    MIN_RATE,
    STALLED_SECONDS,
    AnswerPace,
    BodyPace,
)


class TestBody:
    def test_a_trickle_is_cut_off_however_steady(self):
        pace = BodyPace()
        pace.start(100.0)
        now = 100.0
        while now < pace.deadline:
            pace.add(1)
            now += 1.0
        assert now - 100.0 <= BODY_GRACE_SECONDS + 1

    def test_a_slow_line_is_not(self):
        pace = BodyPace()
        pace.start(0.0)
        for second in range(1000):
            pace.add(MIN_RATE)
            assert pace.deadline > second

    def test_waiting_for_the_plugin_is_not_the_clients_doing(self):
        pace = BodyPace()
        pace.start(0.0)
        pace.rest(60.0)
        assert pace.deadline == 60.0 + BODY_GRACE_SECONDS


class TestAnswer:
    @pytest.mark.parametrize(("crowded", "patience"), [(False, STALLED_SECONDS), (True, CROWDED_STALLED_SECONDS)])
    def test_a_client_that_takes_next_to_nothing(self, crowded, patience):
        pace = AnswerPace()
        cut = next(second for second in range(1000) if pace.too_slow(second, second, waiting=True, crowded=crowded))
        assert cut == patience

    def test_a_client_that_takes_enough(self):
        pace = AnswerPace()
        assert not any(pace.too_slow(second, second * MIN_RATE, waiting=True, crowded=True) for second in range(1000))

    def test_a_client_that_waits_for_us(self):
        pace = AnswerPace()
        assert not any(pace.too_slow(second, 0, waiting=False, crowded=True) for second in range(1000))

    def test_a_fresh_start_counts_anew(self):
        pace = AnswerPace()
        assert not pace.too_slow(0, 0, waiting=True, crowded=True)
        assert not pace.too_slow(9, 0, waiting=False, crowded=True)
        assert not pace.too_slow(11, 0, waiting=True, crowded=True)

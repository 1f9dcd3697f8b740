"""Generated locations: delays like those of the Internet."""

from __future__ import annotations

from random import Random
from statistics import median

from treecast.sim.locations import Locations


def test_two_in_five_nodes_are_in_data_centres_and_the_median_home_is_five_milliseconds_away() -> None:
    locations = Locations(Random(1))
    drawn = [locations.draw() for _ in range(2000)]
    homes = [place.last_mile for place in drawn if not place.in_data_centre]
    assert 0.57 < len(homes) / len(drawn) < 0.63
    assert 0.0045 < 2 * median(homes) < 0.0055
    assert max(homes) > 4 * median(homes)


def test_delays_are_the_same_in_both_directions_and_span_a_planet() -> None:
    locations = Locations(Random(1))
    drawn = [locations.draw() for _ in range(300)]
    pairs = [(one, other) for one in drawn for other in drawn if one is not other]
    delays = [one.delay(other) for one, other in pairs]
    assert delays == [other.delay(one) for one, other in pairs]
    assert min(delays) < 0.005
    assert 0.1 < max(delays) < 0.3


def test_the_same_seed_draws_the_same_locations() -> None:
    assert [Locations(Random(5)).draw() for _ in range(3)] == [Locations(Random(5)).draw() for _ in range(3)]

"""Generated locations of nodes: cities in clusters on a globe, data centres and homes, and the delay between any two.

A model, not a map: no coordinates of real cities are in it. The last mile of a home is lognormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.time import Duration

CITIES = 80
CONTINENTS = 6
CONTINENT_SPREAD_RADIANS = 0.25
EARTH_RADIUS_KM = 6371.0
FIBRE_KM_PER_S = 200_000.0
DETOUR = 1.6
"""A fibre's length over the great circle's."""

DATA_CENTRE_SHARE = 0.4
DATA_CENTRE_LAST_MILE: Duration = 0.0002
HOME_LAST_MILE_MEDIAN: Duration = 0.0025
"""One way: half of 5 ms."""
HOME_LAST_MILE_SIGMA = 0.6
CITY_RADIUS_KM = 20.0


@dataclass(frozen=True, slots=True)
class Location:
    """Where one node stands. ``direction`` is its city's unit vector from the middle of the earth."""

    direction: tuple[float, float, float]
    last_mile: Duration
    in_data_centre: bool

    def delay(self, other: Location) -> Duration:
        """One way, in seconds; the same in both directions."""
        cosine = sum(a * b for a, b in zip(self.direction, other.direction, strict=True))
        distance_km = max(math.acos(max(-1.0, min(1.0, cosine))) * EARTH_RADIUS_KM, CITY_RADIUS_KM)
        return distance_km * DETOUR / FIBRE_KM_PER_S + (self.last_mile + other.last_mile)


class Locations:
    """Draws locations. The same seed gives the same ones."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        continents = [self._anywhere() for _ in range(CONTINENTS)]
        self._cities = [self._near(rng.choice(continents)) for _ in range(CITIES)]

    def draw(self) -> Location:
        city = self._rng.choice(self._cities)
        if self._rng.random() < DATA_CENTRE_SHARE:
            return Location(city, DATA_CENTRE_LAST_MILE, in_data_centre=True)
        last_mile = self._rng.lognormvariate(math.log(HOME_LAST_MILE_MEDIAN), HOME_LAST_MILE_SIGMA)
        return Location(city, last_mile, in_data_centre=False)

    def _anywhere(self) -> tuple[float, float, float]:
        return _unit(self._rng.gauss(0, 1), self._rng.gauss(0, 1), self._rng.gauss(0, 1))

    def _near(self, direction: tuple[float, float, float]) -> tuple[float, float, float]:
        spread = CONTINENT_SPREAD_RADIANS
        x, y, z = (part + self._rng.gauss(0, spread) for part in direction)
        return _unit(x, y, z)


class LocatedEndpoints:
    """Gives each endpoint a location when it is first seen, and each pair its delay."""

    def __init__(self, rng: Random) -> None:
        self._locations = Locations(rng)
        self._of: dict[Endpoint, Location] = {}
        self._delays: dict[tuple[Endpoint, Endpoint], Duration] = {}

    def __call__(self, source: Endpoint, destination: Endpoint) -> Duration:
        pair = (source, destination)
        delay = self._delays.get(pair)
        if delay is None:
            delay = self._delays[pair] = self._location(source).delay(self._location(destination))
        return delay

    def _location(self, endpoint: Endpoint) -> Location:
        location = self._of.get(endpoint)
        if location is None:
            location = self._of[endpoint] = self._locations.draw()
        return location


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return x / length, y / length, z / length

"""Plans -> an order of loads, with its price beside a naive order and the lower bound. Pure."""

from orchestra.scheduling.batches import Loads, first_come_loads, next_expert, possible_turns
from orchestra.scheduling.forecast import Forecast, Length, Share, forecast

__all__ = [
    "Forecast",
    "Length",
    "Loads",
    "Share",
    "first_come_loads",
    "forecast",
    "next_expert",
    "possible_turns",
]

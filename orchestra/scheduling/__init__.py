"""Plans -> an order of loads, with its price beside a naive order and the lower bound. Pure."""

from orchestra.scheduling.batches import Loads, first_come_loads, next_expert, possible_turns

__all__ = ["Loads", "first_come_loads", "next_expert", "possible_turns"]

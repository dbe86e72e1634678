"""Answers -> Ballot -> Decision: counting, weighing and calibrating. Pure."""

from orchestra.voting.calibration import Calibration, calibrate, decide
from orchestra.voting.tally import Majority, Voter, Weighted

__all__ = ["Calibration", "Majority", "Voter", "Weighted", "calibrate", "decide"]

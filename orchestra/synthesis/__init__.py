"""Drafts -> Conclusion: how an aggregator is asked, and defences against deceivers. Pure."""

from orchestra.synthesis.aggregator import (
    Conclusion,
    Consultation,
    Defence,
    Dialogue,
    Draft,
    Reply,
    converse,
)
from orchestra.synthesis.clustering import Clusters, Parting, bisect, silhouette
from orchestra.synthesis.deciding import settle
from orchestra.synthesis.defences import DEFENCES, SUBSETS, defence
from orchestra.synthesis.prompts import consulting

__all__ = [
    "DEFENCES",
    "SUBSETS",
    "Conclusion",
    "Consultation",
    "Defence",
    "Dialogue",
    "Draft",
    "Clusters",
    "Parting",
    "Reply",
    "bisect",
    "consulting",
    "converse",
    "defence",
    "settle",
    "silhouette",
]

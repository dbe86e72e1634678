"""Drafts -> Conclusion: how an aggregator is asked, and defences against deceivers. Pure."""

from orchestra.records import Draft, Reply
from orchestra.synthesis.aggregator import (
    AggregatorCall,
    Conclusion,
    Consulting,
    Defence,
    Dialogue,
    converse,
)
from orchestra.synthesis.clustering import Clusters, Parting, bisect, silhouette
from orchestra.synthesis.deciding import settle
from orchestra.synthesis.defences import DEFENCES, SUBSETS, defence
from orchestra.synthesis.moa import MixtureOfAgents
from orchestra.synthesis.prompts import InView, consulting

__all__ = [
    "DEFENCES",
    "SUBSETS",
    "AggregatorCall",
    "Clusters",
    "Conclusion",
    "Consulting",
    "Defence",
    "Dialogue",
    "Draft",
    "InView",
    "MixtureOfAgents",
    "Parting",
    "Reply",
    "bisect",
    "consulting",
    "converse",
    "defence",
    "settle",
    "silhouette",
]

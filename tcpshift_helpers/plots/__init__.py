"""Frames as figures, with words for those who cannot see them. One figure a module; `paper` is what all are drawn on.

They decide nothing: verdicts come from distribution.py, colours and sizes from palette.py.
"""

from tcpshift_helpers.plots.connections import connection_timeline
from tcpshift_helpers.plots.paper import Picture, show
from tcpshift_helpers.plots.pods import pods, pods_alt_text
from tcpshift_helpers.plots.probes import alt_text, bars, distribution, strip
from tcpshift_helpers.plots.replicas import replicas_and_weights
from tcpshift_helpers.plots.running import running_share
from tcpshift_helpers.plots.stages import rollout
from tcpshift_helpers.plots.traffic import traffic, traffic_alt_text

__all__ = [
    "Picture",
    "alt_text",
    "bars",
    "connection_timeline",
    "distribution",
    "pods",
    "pods_alt_text",
    "replicas_and_weights",
    "rollout",
    "running_share",
    "show",
    "strip",
    "traffic",
    "traffic_alt_text",
]

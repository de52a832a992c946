"""The observation chart as places and words; the template only puts them there."""

from sessions.drawing.chart import draw

__all__ = ["draw"]

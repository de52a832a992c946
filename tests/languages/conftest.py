"""Hundreds of pages: note no template, draw no PDF, log no refusal."""

from tests.hostile.conftest import _quickly

__all__ = ["_quickly"]

"""The reference lab on this machine: its environment, its content, and the demo.

The room only uses what users can use too.
"""

from __future__ import annotations

from naru.lab.content import fill
from naru.lab.demo import Demo, Settings
from naru.lab.environment import Environment

__all__ = ["Demo", "Environment", "Settings", "fill"]

"""The maintenance window: when members may be restarted."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import datetime, timedelta

from naru.spec import Spec

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@dataclass(frozen=True)
class Window:
    """Some hours of one day of each week, in the service's time zone."""

    day: str
    start: str
    """HH:MM."""
    hours: int
    zone: str

    def at(self, now: datetime) -> tuple[datetime, datetime]:
        """Begin and end of the window that is open at `now`, else of the next one."""
        here = now.astimezone(zoneinfo.ZoneInfo(self.zone))
        hour, minute = (int(part) for part in self.start.split(":"))
        days = (_DAYS.index(self.day) - here.weekday()) % 7
        # The one that began a week ago may still be open.
        begin = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        begin += timedelta(days=days - 7)
        while begin + timedelta(hours=self.hours) <= here:
            begin += timedelta(days=7)
        return begin, begin + timedelta(hours=self.hours)

    def is_open(self, now: datetime) -> bool:
        """Whether members may be restarted at `now`."""
        return self.at(now)[0] <= now

    def sentence(self, now: datetime) -> str:
        """When it is."""
        begin, end = self.at(now)
        span = f"{begin:%a %Y-%m-%d %H:%M}-{end:%H:%M} {self.zone}"
        return f"open now, {span}" if begin <= now else f"next {span}"


def window_of(spec: Spec) -> Window | None:
    """The window that naru.toml declares; None when restarts need not wait."""
    maintenance = spec.maintenance
    if not maintenance.enabled:
        return None
    return Window(maintenance.day, maintenance.start, maintenance.hours, spec.service.timezone)

"""What the columns of tables mean, by the names that people and their tools give them."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

FRAMES = "frames"
# The seconds in a unit. Times on a clock, as 0:04.9, may stand wherever seconds may.
SECONDS = {"s": 1.0, "clock": 1.0, "ms": 0.001, "min": 60.0, "": 1.0, FRAMES: 1.0}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A name is made of words, in any order and spelling: Start (s), startTime, t_start, begin-time-ms.
FILE = _set("file video clip path image picture photo movie film media recording footage url")
OF_FILE = _set("name full relative local uri frame img id")
LABEL = _set("label class category behavior behaviour annotation activity action tag choice")
LABEL |= _set("event species")
OF_LABEL = _set("name text value title")
EDGES = {
    "start": _set("start begin beginning onset from first started starts"),
    "end": _set("end stop finish offset to until last out ended stops ends"),
    "duration": _set("duration length dur"),
}
MOMENT = _set("time timestamp")
OF_TIME = _set("time times timestamp stamp point position pos at of the in t mark")
STRETCH = (LABEL | _set("segment interval region bout clip state span")) - {"annotation"}
UNITS = {
    "s": _set("s sec secs second seconds"),
    "ms": _set("ms msec msecs millis millisecond milliseconds"),
    "min": _set("min mins minute minutes"),
    FRAMES: _set("frame frames number num no nr idx index id"),
    "clock": _set("h hh m mm ss mmm hms"),
}
PARTS, SITE = _set("split subset set partition"), "site"
# Words that speak of a time in a video; and of a time or a length of something else.
TIMELY = _set("start begin onset stop end offset duration time timestamp timecode tc t frame")
TIMELY |= UNITS["ms"] | _set("seconds sec")
ELSEWHERE = _set("total observation coding created updated modified lead comment date mean count")
ELSEWHERE |= _set("width height size")
VOCABULARY = sorted(
    {
        word
        for words in (FILE, OF_FILE, LABEL, OF_LABEL, *EDGES.values(), OF_TIME, STRETCH, TIMELY,
                      *UNITS.values(), PARTS, ELSEWHERE, {SITE, "rate"})
        for word in words
        if len(word) > 2 or word in ("ms", "t")
    },
    key=len, reverse=True,
)  # fmt: skip


class Meaning(NamedTuple):
    """What a column is about; "time" is a time in the video that is not understood."""

    role: str
    unit: str = ""


def meaning(name: str) -> Meaning | None:
    """Return what a column of this name means; None if it is none of ours."""
    words = _words(name)
    found = set(words)
    if not found:
        return None
    if "fps" in found or found == {"frame", "rate"}:
        return Meaning("fps")
    if found & PARTS and found <= PARTS | {"data", "name"}:
        return Meaning("split")
    if SITE in found and found <= {SITE, "name", "id"}:
        return Meaning("site")
    if found & FILE and found <= FILE | OF_FILE:
        return Meaning("file")
    ends = [word for word in words if word not in OF_LABEL]
    if ends and ends[-1] in LABEL and found <= LABEL | OF_LABEL | FILE | {"frame"}:
        return Meaning("label")
    units = {unit for unit, names in UNITS.items() if found & names}
    # ELAN's hh:mm:ss.ms is a clock, and its ss.msec are seconds.
    unit = next((unit for unit in ("clock", "ms", "min", "s", FRAMES) if unit in units), "")
    unit = "s" if {"ss", "msec"} <= found else "clock" if {"min", "s"} <= units else unit
    core = found - OF_TIME - STRETCH.union(*UNITS.values())
    roles = [role for role, names in EDGES.items() if core & names]
    if len(roles) == 1 and core <= EDGES[roles[0]]:
        return Meaning(roles[0], unit)
    if not core and words[:1] == ["in"]:
        return Meaning("start", unit)
    if not core and found & MOMENT and not found & STRETCH:
        return Meaning("moment", unit)
    if found <= OF_TIME.union(*(UNITS[unit] for unit in ("s", "ms", "min"))):
        return Meaning("time")
    of_file = roles == ["duration"] and found & (FILE - {"clip"})
    return Meaning("time") if found & TIMELY and not found & ELSEWHERE and not of_file else None


def _words(name: str) -> list[str]:
    """Return the words of a name, also of those that are written together."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = []
    for run in re.findall(r"[^\W\d_]+|\d+", name):
        parts = re.findall("|".join(VOCABULARY), run)
        words += parts if "".join(parts) == run else [run]
    return words


# Cells that say nothing, a date, a time on a clock; and the rows of events that begin or end.
NOTHING = re.compile(r"(?:[-+]?0+(?:[.,:]0+)*|na|n/a|nan|none|null)?", re.IGNORECASE)
DATE = re.compile(r"(?:\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{4})(?:[T ].*)?")
CLOCK = re.compile(r"\d+:\d\d(?::\d\d)?(?:[.,]\d+)?")
SEXAGESIMAL = re.compile(r"(?:0 days )?(?:(\d+):)?(\d+):(\d\d?(?:[.,]\d+)?)")
STATUS = re.compile(r"(?:state )?(start|stop|end|point)", re.IGNORECASE)


class Time(NamedTuple):
    """A column of times, and their unit."""

    place: int
    unit: str


@dataclass(frozen=True)
class Columns:
    """The places of a table's columns in its rows."""

    files: list[int]  # the first of them that names a file is the one
    label: int
    start: Time | None
    end: Time | None
    duration: Time | None
    status: int | None  # whether the row's time, `start`, begins or ends an event
    split: int | None
    site: int | None
    fps: int | None
    unused: list[str]

    @property
    def times(self) -> list[Time]:
        """Those that have times."""
        return [each for each in (self.start, self.end, self.duration) if each]


def find_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Return the columns of a table; raise `ValueError` for times that would be ignored."""
    cells = [{row[place] for row in rows if place < len(row)} for place in range(len(header))]
    filled = [place for place, found in enumerate(cells) if found - {""}]
    says = {
        place for place in filled
        if not all(NOTHING.fullmatch(cell) or DATE.fullmatch(cell) for cell in cells[place])
    }  # fmt: skip
    meanings = {}
    # What begins at an onset ends at an offset; any other offset moves all the times.
    onset = any("onset" in _words(name) for name in header)
    for each, name in enumerate(header):
        found = meaning(name)
        if found and found.role in EDGES and not onset and "offset" in _words(name):
            if each in says:
                raise ValueError(f"column {name!r} moves the times; add it to them, and remove it")
        elif found and (found.role in ("file", "label") or each in filled):
            meanings[each] = found

    def pick(role: str, units: Sequence[str] = ("",)) -> Time | None:
        found = [place for place, (other, _) in meanings.items() if other == role]
        for unit in units:
            several = [place for place in found if meanings[place].unit == unit]
            named = [place for place in several if header[place].lower() == "label"]
            if len(several) > 1 and not named:
                names = " and ".join(repr(header[place]) for place in several[:2])
                raise ValueError(f"columns {names} both say the {role}; remove one")
            if several:
                return Time((named or several)[0], unit)
        return None

    label, split, site, rate = (
        only.place if (only := pick(role)) else None for role in ("label", "split", "site", "fps")
    )
    assert label is not None
    if rate is not None and any(";" in cell for cell in cells[rate]):  # BORIS'
        fault = f"column {header[rate]!r} names several videos, of which times count from the first"
        raise ValueError(f"{fault}; observe each on its own")
    units = ("s", "clock", "ms", "min", "", FRAMES)
    start, end, duration = (pick(role, units) for role in EDGES)
    status = None
    if not start and (moment := pick("moment", units)):
        events = [each for each in filled if all(map(STATUS.fullmatch, cells[each]))]
        status = next(iter(events), None)
        start = moment if events else None
    if duration and end and not start:
        raise ValueError(f"column {header[duration.place]!r} has no start; add one")
    duration = None if end else duration
    times = [each for each in (start, end, duration) if each]
    if len({each.unit == FRAMES for each in times}) > 1:
        names = " and ".join(repr(header[each.place]) for each in times)
        raise ValueError(f"columns {names} mix frames and seconds; give one of them")

    files = [each for each, (role, _) in meanings.items() if role == "file"]
    optional = (status, split, site, rate)
    used = {*files, label, *(each.place for each in times), *optional}
    others = [each for each in filled if each not in used]
    if status is None and not (start and (end or duration)):
        for each in others:
            role = meanings.get(each, Meaning("")).role
            clock = any(map(CLOCK.fullmatch, cells[each]))
            if each in says and (role in ("time", "moment") or clock):
                raise ValueError(
                    f"column {header[each]!r} has times, but its name does not say which; call it "
                    "start, end or duration, as in start_ms or start_frame if that is its unit, "
                    "or remove it"
                )
    unused = [header[each] for each in others if header[each]]
    return Columns(files, label, start, end, duration, *optional, unused)


def time_in(cell: str, unit: str) -> float | None:
    """Return the time in a cell, in frames if that is its unit, else in seconds; None for none.

    Raises `ValueError` for anything else.
    """
    if not cell:
        return None
    if unit in ("s", "clock", "") and (found := SEXAGESIMAL.fullmatch(cell)):
        hours, minutes, seconds = found[1] or "0", found[2], found[3].replace(",", ".")
        if float(seconds) < 60 and (int(minutes) < 60 or not found[1]):
            return round(3600 * int(hours) + 60 * int(minutes) + float(seconds), 6)
    with suppress(ValueError):
        value = float(re.sub(r"\s*s(?:ec)?$", "", cell).replace(",", "."))
        if 0 <= value < math.inf:
            return round(value * SECONDS[unit], 6)
    names = {"ms": "milliseconds", "min": "minutes", FRAMES: FRAMES}
    raise ValueError(f"{cell!r} is no time in {names.get(unit, 'seconds, mm:ss or hh:mm:ss')}")

"""Tables of labels, in the dialects of people and their tools, and what is wrong in them."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_clip, write_video
from footage import Footage
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import tables
from activity.training.annotations import Annotation
from activity.training.columns import meaning, time_in
from activity.training.footage import Extent, extract_frames, time_of
from activity.training.tables import read_table, say_overlaps

FPS = 10
# What all the dialects say: the file, start, end and label of each row.
ROWS = [
    (f"v/match{number}.mp4", start, end, label)
    for start, end, label in ((0.0, 4.9, "tennis"), (5.1, 9.9, "football"))
    for number in (1, 2, 3)
]
Said = list[tuple[str, float, float | None, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make three videos of ten seconds, and two pictures."""
    folder = tmp_path_factory.mktemp("tables")
    for number in (1, 2, 3):
        write_clip(folder / f"v/match{number}.mp4", 10 * FPS, (32, 48), FPS)
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(folder / name), np.full((32, 48, 3), 99, np.uint8))
    return folder


def said(folder: Path, name: str, content: str | bytes) -> Said:
    """Write a table, and return what it says."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [
        (
            str(row.path.relative_to(folder)),
            round(row.start, 3),
            None if row.end is None else round(row.end, 3),
            row.label,
        )
        for row in read_table(path, folder)
    ]


def table(
    names: Sequence[str] = ("file", "start", "end", "label"),
    delimiter: str = ",",
    file: Callable[[str], object] = str,
    time: Callable[[float], object] = str,
) -> str:
    """Write the rows as a table with other names of the columns, files and times."""
    text = io.StringIO()
    lines = csv.writer(text, delimiter=delimiter)
    lines.writerow(names)
    lines.writerows([file(name), time(start), time(end), label] for name, start, end, label in ROWS)
    return text.getvalue()


def clock(seconds: float) -> str:
    return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}"


def lines(head: str, row: str) -> str:
    """Write a table from its head and a pattern of its rows."""
    shapes = [
        {
            "file": file, "a": start, "b": end, "label": label, "length": end - start,
            "A": clock(start), "B": clock(end),
        }
        for file, start, end, label in ROWS
    ]  # fmt: skip
    return "\n".join([head, *(row.format(**shape) for shape in shapes)]) + "\n"


BORIS_EVENTS = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
    "Time offset (s),Media duration (s),FPS,Subject,Behavior,Behavioral category,Behavior type,"
    "Time,Media file name,Image index,Image file path,Comment"
)
BORIS_EVENT = (
    "o,2024-01-01 10:00:00,,10.0,Media file(s),player #1:{file},0.0,10.000,10.000,"
    "No focal subject,{label},,%s,{%s:.3f},{file},1,NA,"
)
BORIS_AGGREGATED = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),"
    "Coding duration,Media duration (s),FPS (frame/s),Subject,"
    "Observation duration by subject by observation,Behavior,Behavioral category,Behavior type,"
    "Start (s),Stop (s),Duration (s),Media file name,Image index start,Image index stop,"
    "Image file path start,Image file path stop,Comment start,Comment stop"
)
BORIS_STATE = (
    "o,2024-01-01 10:00:00,,Media file,player #1:{file},0.0,10.000,10.000,10.000,,4.9,{label},"
    "Not defined,STATE,{a:.3f},{b:.3f},{length:.3f},{file},1,49,NA,NA,,"
)
BORIS_OLD = (
    "Observation id\to\n\nMedia file(s)\n\nPlayer #1\tv/match1.mp4\n\nObservation date\t2020\n\n"
    "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tComment\tStatus"
)
ELAN = (
    "Tier\tBegin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tBegin Time - msec\t"
    "End Time - hh:mm:ss.ms\tEnd Time - ss.msec\tEnd Time - msec\tAnnotation\tFile"
)


def label_studio(name: str, *numbers: int) -> list[dict[str, Any]]:
    """Return tasks of Label Studio, with frames that count from one."""
    spans = ((1, 49, "tennis"), (52, 99, "football"))
    regions = [
        {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
        for start, end, label in spans
    ]
    done = {"was_cancelled": False, "result": [{"value": each} for each in regions]}
    skipped = {"was_cancelled": True, "result": [{"value": {"choices": ["golf"]}}]}
    return [
        {"id": number, "data": {"video": name.format(number)}, "annotations": [skipped, done]}
        for number in numbers
    ]


def label_studio_csv(name: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    rows.writerow(["annotator", "created_at", "id", "lead_time", "video", "videoLabels"])
    for task in label_studio(name, 1, 2, 3):
        regions = json.dumps([each["value"] for each in task["annotations"][1]["result"]])
        rows.writerow(["a@b.c", "2024-01-01T00:00:00Z", 1, 9.5, task["data"]["video"], regions])
    return text.getvalue()


def cvat(number: int, shapes: str) -> str:
    source = f"<source>match{number}.mp4</source>"
    meta = f"<meta><task><id>7</id><mode>interpolation</mode>{source}</task></meta>"
    return f'<?xml version="1.0"?>\n<annotations>{meta}{shapes}</annotations>'


def cvat_tags() -> str:
    labels = ["tennis"] * 49 + [""] * 2 + ["football"] * 48
    return "".join(
        f'<image id="{frame // 7}" name="frame_{frame:06d}">'
        + (f'<tag label="{label}" source="manual"></tag>' if label else "")
        + '<box label="ball" xtl="1.0"/></image>'
        for frame, label in enumerate(labels)
    )


CVAT_TRACKS = (
    '<track id="0" label="tennis"><box frame="0" outside="0"/><box frame="49" outside="1"/>'
    '</track><track id="1" label="football"><box frame="51" outside="0"/>'
    '<box frame="98" outside="0"/></track>'
)
DIALECTS: dict[str, str | bytes] = {
    "plain.csv": table(),
    "begin_stop.csv": table(("video", "begin", "stop", "class_name")),
    "duration.csv": lines("file,start,duration,label", "{file},{a},{length:.3f},{label}"),
    "both.csv": lines("class,file,start,end,duration,label", "2,{file},{a},{b},0,{label}"),
    "empty_end.csv": lines("file,start,duration,end,label", "{file},{a},{length:.3f},,{label}"),
    "tabs.txt": table(delimiter="\t"),
    "preamble.csv": f"Timecode List:,00:00:05.000\n\nnotes; and more\n{table()}",
    "quote.csv": f'the "first try\n{table()}',
    "joined.csv": table() + "\n , , ,\n" + table().splitlines()[0],
    "no_endings.csv": table(("video_id", "start (min:sec)", "end (HH:MM:SS.mmm)", "tag"),
                            file=lambda name: Path(name).stem, time=clock),
    "blank_lines.csv": table().replace("\r\n", "\r\n\r\n"),
    "europe.csv": ("\ufeffsep=;\r\n" + table(delimiter=";", time=lambda t: f"{t:.3f}".replace(
        ".", ","))).encode(),
    "utf16.csv": table(delimiter="\t").encode("utf-16"),
    "utf16le.csv": table(delimiter=";").encode("utf-16-le"),
    "utf16be.csv": table().encode("utf-16-be"),
    "backslashes.csv": table(file=lambda name: name.replace("/", "\\")),
    "drive.csv": table(file=lambda name: "D:\\My Videos\\" + name.replace("/", "\\")),
    "server.csv": table(file=lambda name: "\\\\nas\\films\\" + name.replace("/", "\\")),
    "address.csv": table(file=lambda name: f"file:///C:/My%20Videos/{name}"),
    "web.csv": table(file=lambda name: f"https://example.org/a/{name}?signature=1/2"),
    "names_only.csv": table(file=lambda name: Path(name).name),
    "milliseconds.csv": table(("file", "start_ms", "endMs", "tag"), time=lambda t: f"{1000 * t:g}"),
    "minutes.csv": table(("file", "start_min", "end (min)", "tag"), time=lambda t: str(t / 60)),
    "frames.csv": table(("clip", "first frame", "last_frame", "tag"), time=lambda t: f"{10 * t:g}"),
    "fps.csv": lines("FPS,file,start_frame,end_frame,label", "20,{file},{a:.0%},{b:.0%},{label}")
    .replace("0%,", ",").replace("490,", "98,").replace("49,", "98,").replace("510,", "102,")
    .replace("51,", "102,").replace("990,", "198,").replace("99,", "198,"),
    "clock.csv": table(("file", "Start Time", "End Time", "label"), time=clock),
    "comma_clock.csv": table(delimiter="\t", time=lambda t: f"0:{t:.1f}".replace(".", ",")),
    "pandas.csv": table(time=lambda t: f"0 days {clock(t)}000"),
    "index.csv": lines(",file,start,end,label", "0,{file},{a},{b},{label}"),
    "boris.csv": lines(BORIS_AGGREGATED, BORIS_STATE),
    "boris_events.csv": lines(
        BORIS_EVENTS, BORIS_EVENT % ("START", "a") + "\n" + BORIS_EVENT % ("STOP", "b")
    ),
    "boris_old.tsv": lines(
        BORIS_OLD,
        "{a}\t{file}\t10\t10\t\t{label}\t\tSTART\n{b}\t{file}\t10\t10\t\t{label}\t\tSTOP",
    ),
    "elan.txt": lines(ELAN, "default\t{A}\t{a}\t{a:.3f}\t{B}\t{b}\t{b:.3f}\t{label}\t{file}"),
    "elan_files.txt": lines(
        ELAN.replace("File", "File Name"), "x\t{A}\t{a}\t0\t{B}\t{b}\t0\t{label}\t{file}"
    ).replace(".mp4", ".eaf"),
    "more_times.txt": lines(
        "file\tBeginn\tstart\tend\tlabel", "{file}\t{A}\t{a}\t{b}\t{label}"
    ),
    "createml.csv": table(("videoPath", "startTime", "endTime", "label"), time=clock),
    "createml.json": json.dumps(
        [{"video": f, "label": label, "start": a, "end": b} for f, a, b, label in ROWS]
    ),
    "studio.json": json.dumps(label_studio("/data/upload/3/0a1b2c3d-match{}.mp4", 1, 2, 3)),
    "studio_min.json": json.dumps([
        {"video": each["data"]["video"], "id": 3, "annotator": 1,
         "when": [part["value"] for part in each["annotations"][1]["result"]]}
        for each in label_studio("/data/local-files/?d=x/v/match{}.mp4", 1, 2, 3)
    ]),
    "studio.csv": label_studio_csv("/data/upload/3/0a1b2c3d-match{}.mp4"),
    "lines.jsonl": "".join(
        json.dumps({"path": f, "action": label, "from": a, "to": b}) + "\n"
        for f, a, b, label in ROWS
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_says_the_same_as_the_others(folder: Path, name: str) -> None:
    assert sorted(said(folder, name, DIALECTS[name])) == sorted(ROWS)


@pytest.mark.parametrize("shapes", [cvat_tags(), CVAT_TRACKS])
def test_labels_of_frames_from_cvat(
    folder: Path, shapes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(said(folder, "a.xml", cvat(1, shapes))) == sorted(ROWS[::3])
    assert ("has boxes; their labels are taken" in capsys.readouterr().err) == ("track" in shapes)
    several = cvat(1, shapes).replace("<task>", "<tasks><task><id>8</id></task><task>")
    assert len(said(folder, "a.xml", several.replace("</task></meta>", "</task></tasks></meta>")))


PICTURES = [("a.jpg", 0.0, None, "tennis"), ("b.jpg", 0.0, None, "football")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zamba.csv", "filepath,label\na.jpg,tennis\nb.jpg,football\n"),
        ("create.json", '[{"image": "a.jpg", "annotation": "tennis"}, '
                        '{"imagefilename": "b.jpg", "annotation": ["football"]}]'),
        ("boxes.json", '[{"image": "a.jpg", "annotations": [{"label": "tennis", "coordinates": '
                       '{"x": 1}}]}, {"image": "b.jpg", "annotations": [{"label": "football"}]}]'),
        ("regions.json", '[{"image": "a.jpg", "annotations": [{"label": "tennis"}]}, '
                         '{"image": "b.jpg", "annotations": [{"choices": ["football"]}]}]'),
        ("studio.csv", '"choice","id","image"\n"tennis",1,"/data/upload/1/00ff00ff-a.jpg"\n'
                       '"football",2,"/data/local-files/?d=b.jpg"\n'),
        ("images.xml", '<annotations><meta><task><id>1</id></task></meta><image id="0" name="a.jpg"'
                       '><tag label="tennis"/></image><image id="1" name="b.jpg"><tag label='
                       '"football"/><box label="ball"/></image></annotations>'),
    ],
)  # fmt: skip
def test_pictures_and_whole_files(
    folder: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(folder, name, content) == PICTURES
    assert ("has boxes; their labels are" in capsys.readouterr().err) == (name == "boxes.json")


def test_elan_names_the_video_above_the_columns(folder: Path) -> None:
    """And each tier has a column of its own."""
    media = '"#file:///C:/My%20Videos/match1.mp4 -- offset: 0, duration: 00:00:10.000 / 10.0"\n\n'
    head = "Begin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tspeaker\tactivity"
    content = media + lines(head, "{A}\t{B}\t\t{label}")
    assert said(folder, "a.txt", content)[::3] == ROWS[::3]


def test_parts_and_sites(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "zamba.csv"
    path.write_text("filepath,label,split,site\na.jpg,x,holdout,zoo\nb.jpg,y,Train,\n")
    assert read_table(path, folder) == [
        Annotation(folder / "a.jpg", "x", "test", "zoo"), Annotation(folder / "b.jpg", "y", "train")
    ]  # fmt: skip
    image = '<image id="{}" name="{}" subset="{}"><tag label="x"/></image>'
    images = image.format(0, "a.jpg", "Validation") + image.format(1, "b.jpg", "Train night")
    path.write_text(f"<annotations><meta><project/></meta>{images}</annotations>")
    assert [row.part for row in read_table(path, folder)] == ["test", None]
    assert "has columns that are not used: subset of the task\n" in capsys.readouterr().err


def test_each_task_of_a_project_has_its_own_files(folder: Path) -> None:
    tasks = "<task><id>1</id><source>match1.mp4</source></task><task><id>2</id></task>"
    images = (
        '<image id="20" name="frame_000020" task_id="1"><tag label="x"/></image>'
        '<image id="21" name="frame_000021" task_id="1"/>'
        '<image id="0" name="a.jpg" task_id="2"><tag label="y"/></image>'
    )
    content = f"<annotations><meta><project>{tasks}</project></meta>{images}</annotations>"
    found = said(folder, "a.xml", content)
    assert sorted(found) == [("a.jpg", 0.0, None, "y"), ("v/match1.mp4", 2.0, 2.1, "x")]


# The grammar of names: a word for what it is, fillers and a unit, in any order and spelling.
START = ("start", "begin", "onset", "from")
END = ("end", "stop", "offset", "to", "until")
UNIT: dict[str, tuple[str, Callable[[float], str]]] = {
    "": ("", "{:.3f}".format), "s": ("s", "{:.3f}".format), "seconds": ("s", "{:.3f}".format),
    "ms": ("ms", lambda t: f"{1000 * t:.0f}"), "msec": ("ms", lambda t: f"{1000 * t:.1f}"),
    "frame": ("frames", lambda t: f"{FPS * t:.0f}"), "min": ("min", lambda t: f"{t / 60:.9f}"),
    "hh:mm:ss": ("clock", clock),
}  # fmt: skip
SPELLINGS: list[Callable[[list[str]], str]] = [
    "_".join, " ".join, "-".join, lambda words: " ".join(words).title(),
    lambda words: words[0] + "".join(map(str.capitalize, words[1:])), lambda words: "_".join(
        words[::-1]), lambda words: " ".join(words[:-1]) + f" ({words[-1]})" if words[1:]
    else words[0],
]  # fmt: skip


@given(
    role=st.sampled_from([(START, "start"), (END, "end"), (("duration", "length"), "duration")]),
    word=st.integers(0, 9), filler=st.sampled_from(["", "time", "timestamp", "event"]),
    unit=st.sampled_from(sorted(UNIT)), spell=st.sampled_from(SPELLINGS),
)  # fmt: skip
def test_the_names_of_times_are_a_grammar(
    role: tuple[tuple[str, ...], str], word: int, filler: str, unit: str,
    spell: Callable[[list[str]], str],
) -> None:  # fmt: skip
    words = [role[0][word % len(role[0])], *filter(None, (filler, unit))]
    if word % len(role[0]) and words[0] in ("to", "from") and len(words) > 1:
        words[0] = "stop" if words[0] == "to" else "begin"  # nobody writes "to event"
    assert meaning(spell(words)) == (role[1], UNIT[unit][0]), spell(words)


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ("file filename File_Name video clip path filepath image image_path videoPath MediaFileName"
         " media-file-path video_url frame_path video_id", "file"),
        ("label Class class_name behavior Behaviour annotation activity action category tag choice "
         "action_label video-label Label_Text", "label"),
        ("t0 begin_tc timecode frame frame_number start_pct video_start t s second minute position",
         "time"),
        ("in In_point in_ms", "start"), ("Out out_point", "end"),
        ("time Timestamp time_s", "moment"), ("split subset Set data_split", "split"),
        ("site site_id", "site"), ("fps FrameRate", "fps"),
        ("confidence frames media_duration total_length video_duration created_at lead_time comment"
         " subject class_id label_id behavior_type width xmin annotation_file tier", None),
    ],
)  # fmt: skip
def test_the_names_of_other_columns(names: str, role: str | None) -> None:
    found = {name: each and each.role for name in names.split() for each in [meaning(name)]}
    assert found == dict.fromkeys(names.split(), role)


@given(data=st.data())
def test_a_table_in_any_dialect_is_read_back(folder: Path, data: st.DataObject) -> None:
    draw = data.draw
    unit = draw(st.sampled_from(sorted(UNIT)))
    write = UNIT[unit][1]
    # Nothing speaks of seconds and of frames, and an offset belongs to an onset.
    start, end = draw(st.sampled_from([
        ("start", "end"), ("begin", "stop"), ("onset", "offset"), ("Start Time", "End Time"),
    ]))  # fmt: skip
    length = draw(st.booleans())
    names = [
        draw(st.sampled_from(["file", "Video", "media file name", "path"])),
        start,
        "Duration" if length else end,
        draw(st.sampled_from(["label", "Behavior", "class"])),
    ]
    names[1:3] = [f"{name} ({unit})" if unit else name for name in names[1:3]]
    comma = unit != "frame" and draw(st.booleans())
    delimiter = draw(st.sampled_from(";\t" if comma else ",;\t|"))
    # Half frames and less are lost where frames are counted.
    times = st.integers(0, 99).map(lambda tenths: tenths / 10)
    labels = st.text("abcäß,;\t\"' ", min_size=1, max_size=9).map(str.strip).filter(bool)
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        first, last = sorted((draw(times), draw(times)))
        rows.append((draw(st.sampled_from(ROWS))[0], first, last + 0.1, f"x{draw(labels)}"))
    order = draw(st.permutations(range(4)))
    text = io.StringIO()
    text.write(draw(st.sampled_from(["", "\n", "made by: me\n", f"sep={delimiter}\n"])))
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow([names[place] for place in order])
    for file, first, last, label in rows:
        cells = [file, write(first), write(last - first if length else last), label]
        cells[1:3] = [cell.replace(".", ",") if comma else cell for cell in cells[1:3]]
        writer.writerow([cells[place] for place in order])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]))
    found = said(folder, "random.csv", text.getvalue().encode(encoding))
    assert [(file, label) for file, _, _, label in found] == [(r[0], r[3]) for r in rows]
    expected = [each for _, first, last, _ in rows for each in (first, last)]
    assert [t for _, a, b, _ in found for t in (a, b)] == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    ("cell", "unit", "seconds"),
    [("", "", None), ("4.9", "", 4.9), ("4,9", "s", 4.9), ("1:02.5", "", 62.5), ("4.9 s", "", 4.9),
     ("75:00", "clock", 4500), ("1:02:03,250", "", 3723.25), ("1e1", "", 10), ("250", "ms", 0.25),
     ("0.5", "min", 30), ("7", "frames", 7)],
)  # fmt: skip
def test_times(cell: str, unit: str, seconds: float | None) -> None:
    assert time_in(cell, unit) == seconds


@pytest.mark.parametrize(
    ("cell", "unit"),
    [("-1", ""), ("nan", ""), ("inf", "s"), ("x", ""), ("0:75", ""), ("1:75:00", ""),
     ("00:00:04:12", ""), ("1:00", "ms"), ("0:04", "frames"), ("1.234,5", ""), ("NA", "")],
)  # fmt: skip
def test_what_is_no_time(cell: str, unit: str) -> None:
    with pytest.raises(ValueError, match=rf"^{cell!r} is no time in "):
        time_in(cell, unit)


def test_further_columns_in_any_order_and_as_spreadsheets_write_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page saves has an apostrophe before what a spreadsheet would take for a formula."""
    clip = write_clip(tmp_path / "=a;b, c.avi", frames=100)
    for delimiter, comma in ((",", "."), (";", ",")):
        path = tmp_path / "t.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            rows = csv.writer(file, delimiter=delimiter)
            rows.writerow(["Label", "notes", "split", "site", "END", "file", "start"])
            rows.writerow(["'=tennis", "x", "holdout", "zoo", f"3{comma}25", "'=a;b, c.avi", "1"])
            rows.writerow(["tennis", "", "", "", "", "'=a;b, c.avi", ""])
        assert read_table(path, tmp_path) == [
            Annotation(clip, "=tennis", "test", "zoo", 1.0, 3.25),
            Annotation(clip, "tennis"),
        ]
        assert capsys.readouterr().err == f"note: {path} has columns that are not used: notes\n"


def test_a_file_is_looked_for_where_it_is_named_beside_the_table_and_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (
        "here/a.mp4", "here/a b.mp4", "beside/b.mp4", "data/c.mp4", "data/x/y/e.mp4",
        "data/1/f.mp4", "data/2/f.mp4", "data/2/g.mp4",
    ):  # fmt: skip
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = {
        "here/a.mp4": "here/a.mp4", "b.mp4": f"{tmp_path}/beside/b.mp4", "c.mp4": "data/c.mp4",
        "d.mp4": "d.mp4", "here/a": "here/a.mp4", "b.eaf": f"{tmp_path}/beside/b.mp4",
        # At any depth, if that is the end of the path of one file.
        "e.mp4": "data/x/y/e.mp4", "y/e.mp4": "data/x/y/e.mp4", "f.mp4": "f.mp4",
        # Only folders of another machine may be called otherwise here.
        "z/e.mp4": "z/e.mp4", "C:\\z\\E.MP4": "data/x/y/e.mp4", "/home/me/2/f.mp4": "data/2/f.mp4",
        "C:\\f.mp4": "C:\\f.mp4", f"file://{tmp_path}/here/a.mp4": f"{tmp_path}/here/a.mp4",
        f"file://{tmp_path}/here/a%20b.mp4": f"{tmp_path}/here/a b.mp4",
        "/data/upload/1/0a1b2c3d-g.mp4": "data/2/g.mp4",
    }  # fmt: skip
    path = tmp_path / "beside/t.csv"
    path.write_text("file,label\n" + "".join(f"{name},x\n" for name in found))
    monkeypatch.chdir(tmp_path)
    assert [str(each.path) for each in read_table(path, Path("data"))] == list(found.values())
    assert capsys.readouterr().err == (
        f"warning: {path}: 4 of 16 rows name files that are not there, such as d.mp4\n"
        f"note: {path}: here/a is taken to be here/a.mp4, and 8 more likewise\n"
    )


def test_windows_code_page_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(folder, "t.csv", "file,label\na.jpg,Fußball\n".encode("cp1252"))[0][3] == "Fußball"
    assert "t.csv is not in UTF-8; it is read in Windows' code page 1252" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,start\na.jpg,1\n", " has no column 'label'; it needs file and label"),
        ("", " has no column 'file'; it needs"),
        ("file,label\n", " names no file that is there; correct it"),
        ("file,label\n" + 300 * "x" + ",a\n", " names no file that is there, such as x"),
        ("file,label\ngone.mp4,a\n", " names no file that is there, such as gone.mp4; correct it"),
        ("file,start,end,label\n@,1,2,a\n@,5,4,a\n", ", line 3: end 4 is before start 5; correct"),
        ("file,start,end,label\n@,-1,2,a\n", ", line 2: '-1' is no time in seconds, mm:ss or hh"),
        ("file,start_frame,end_frame,label\n@,0:10,,a\n", ", line 2: '0:10' is no time in frames"),
        ("x\n\nfile,start,end,label\n@,NA,2,a\n", ", line 4: 'NA' is no time"),
        ("file,label,split\na.jpg,a,some\n", ", line 2: split 'some' is none of train, val and te"),
        ("file,label\n,a\n", ", line 2: it names no file; correct it"),
        ('file,label\n"' + "x" * 200_000 + '",a\n', ": field larger than"),
        ("file,start,end,label\n@,0.04.90,0.05.10,a\n", ", line 2: '0.04.90' is no time in"),
        ("file,label\na.jpg,\x00\x01\n", " is no text; name a table in CSV"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", " is no text; name a table in CSV"),
        ("file,t0,t1,label\n@,1,2,a\n", ": column 't0' has times, but its name does not say which"),
        ("file,timestamp,label\n@,1.5,a\n", ": column 'timestamp' has times"),
        ("file,start,begin_tc,label\n@,1,1,a\n", ": column 'begin_tc' has times"),
        ("file,Beginn,label\n@,0:01,a\n", ": column 'Beginn' has times"),
        ("file,frame,label\n@,12,a\n", ": column 'frame' has times"),
        ("file,start,offset,label\n@,1,2,a\n", ": column 'offset' moves the times; add it to them"),
        ("file,start,start_time,label\n@,1,2,a\n", "columns 'start' and 'start_time' both say the"),
        ("file,start,end,label\n@,0,4,9,a\n", ", line 2: it has more cells than there are columns"),
        ("file,class,action\n@,1,2\n", ": columns 'class' and 'action' both say the label; remove"),
        ("file,start,end_frame,label\n@,1,2,a\n", ": columns 'start' and 'end_frame' mix frames"),
        ("file,end,duration,label\n@,2,1,a\n", ": column 'duration' has no start; add one"),
        ("file,start,end,label\na.jpg,1,2,a\n", "line 2: it has times, but "),
        ("file,start,end,label\n@,0,73,a\n", "@ has no frame at 73 s, it is 10.0 s long; are these "
         "seconds? (columns start_frame and end_frame have frames, start_ms"),
        ("file,start,end,label\n@,10.2,10.4,a\n", "@ has no frame at 10.4 s, it is 10.0 s long"),
        ("file,start_frame,label\n@,150,a\n", "@ has no frame at 15 s, it is 10.0 s long; correct"),
        ("file,label,split\n@,a,train\ngone.mp4,b,val\n", " names no file of the test part that is "
         "there, such as gone.mp4; correct it"),
        ("file,label,split\n@,a,test\ngone.mp4,b,train\n", " names no file of the train part that"),
        (lines(BORIS_EVENTS, BORIS_EVENT % ("START", "a")), ", line 2: 'tennis' begins, "),
        (lines(BORIS_EVENTS, BORIS_EVENT % ("STOP", "a")), ", line 2: 'tennis' ends, but "),
        (lines(BORIS_EVENTS, (BORIS_EVENT % ("START", "a")).replace(",0.0,", ",12.5,")),
         ": column 'Time offset (s)' moves the times; add it to them, and remove it"),
        (lines(BORIS_EVENTS, (BORIS_EVENT % ("POINT", "a")).replace("10.000,", "25;25,")),
         ": column 'FPS' names several videos, of which times count from the first; observe each"),
        ("default\t\t00:00:00.000\t00:00:04.900\ttennis\n", " does not name its columns; do so "),
        ('"#file:///v/match1.mp4 -- offset: 40, duration: 1"\nBegin Time\tactivity\n0\tx\n',
         ", line 1: ELAN moves this video by 40 ms; export it without an offset"),
        ("<ANNOTATION_DOCUMENT/>", " is ELAN's own file; in ELAN, call the tier 'label', and "),
        ("<annotation><object/></annotation>", " is XML, but none of CVAT's; export it as CSV"),
        ("<annotations><meta/>", " is damaged XML ("),
        ("<annotations><meta/><image id='0'/></annotations>", " labels no files, or no stretches"),
        ("[1, 2", " is damaged JSON ("), (200_000 * "[", " is damaged JSON ("),
        ("[]", " labels no files, or no stretches of videos"),
        ('[{"data": {}, "annotations": [{}]}]', " has another form than the exports of Label St"),
        ('{"behaviors_conf": {}}', " is a project of BORIS; in BORIS, choose Observations > E"),
        (json.dumps([{"data": {"video": "@"}, "annotations": [{"result": [{"value": {
            "sequence": [], "labels": ["x"]}}]}]}]), ", entry 1: Label Studio's boxes in videos"),
        ("1\n00:00:01,000 --> 00:00:02,000\nhello\n", " has subtitles; export it as CSV"),
        (b"PK\3\4", " is a spreadsheet or an archive; export it as CSV, or unpack it"),
        (b"PAR1", " is in Parquet; export it as CSV"),
        ("clip,frame,time_s,label,raw_label\n@,0,0,a,a\n", " is what predict_video.py "),
        ("clip,label,raw_changes,settings\n@,a,0,{}\n", " is what predict_video.py itself found; "),
        ('{"segments": [], "model": {}}', " is what predict_video.py itself found; open its --pa"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_says_where_and_why(
    folder: Path, content: str | bytes, message: str
) -> None:
    csv.field_size_limit(2**17)  # which a table of clips raises
    content = content.encode() if isinstance(content, str) else content
    with pytest.raises(UserError) as raised:
        said(folder, "t.csv", content.replace(b"@", b"v/match1.mp4"))
    line = str(raised.value)
    assert line.startswith(f"{folder}/t.csv")
    assert message.replace("@", "v/match1.mp4") in line


@pytest.mark.parametrize("name", ["x.eaf", "x.SRT", "x.TextGrid", "x.boris"])
def test_files_of_other_tools_are_refused_by_name(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} (is|has) .*; (export|in ELAN|in BORIS)"):
        said(folder, name, "anything")


def test_what_says_nothing_is_no_time(folder: Path) -> None:
    """Dates, offsets of zero, empty columns, and the length of the file."""
    head = "file,label,Recording time,Time offset (s),start,timestamp,media duration"
    content = f"{head}\na.jpg,tennis,2024-05-01 10:00,0.0,,,10\nb.jpg,football,1.5.2024,NA,,,9\n"
    assert said(folder, "t.csv", content) == PICTURES


def test_a_row_that_ends_after_its_video_is_cut(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "v/match1.mp4,5,10.9,a\nv/match2.mp4,5,13,a\nv/match3.mp4,9.8,10.6,a\n"
    found = said(folder, "t.csv", f"file,start,end,label\n{rows}")
    assert [end for _, _, end, _ in found] == [10.0, 10.0, 10.0]
    assert capsys.readouterr().err == (
        f"warning: {folder}/t.csv: 1 of 3 rows end after their video, such as at 13 s of "
        f"{folder}/v/match2.mp4, which is 10.0 s long\n"
    )


def test_of_a_moment_there_is_the_frame_that_is_seen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From rows that begin and end at the same time, and from BORIS' points."""
    points = ["2.0", "2.05", "9.99"]
    for head, row in (
        ("file,start,end,label", "v/match1.mp4,{0},{0},a"),
        ("Time,Media file name,Behavior,Status", "{0},v/match1.mp4,a,POINT"),
    ):
        path = folder / "t.csv"
        events = [row.format(time) for time in points]
        if "Status" in head:
            events += ["5.0,v/match1.mp4,b,START", "5.1,v/match1.mp4,b,STOP"]
        path.write_text("\n".join([head, *events]) + "\n")
        rows = [each for each in read_table(path, folder) if each.label == "a"]
        stills = extract_frames(folder / "v/match1.mp4", rows, tmp_path)
        assert [{time_of(still) for still in each} for each in stills] == [{2.0}, {2.0}, {9.9}]
        line = f"3 of {len(events) - ('Status' in head)} rows begin and end at the same time"
        assert line in capsys.readouterr().err


def test_frames_need_a_constant_rate_or_a_column_of_it(tmp_path: Path) -> None:
    times = [n / 10 for n in range(20)] + [2 + n / 2 for n in range(8)]
    Footage(times=times, numbers=range(28), fps=Fraction(10)).write(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="has no constant frame rate, which frame numbers need; gi"):
        said(tmp_path, "t.csv", "file,start_frame,end_frame,label\na.mp4,10,20,x\n")
    content = "file,start_frame,end_frame,label,fps\na.mp4,10,20,x,10\n"
    assert said(tmp_path, "t.csv", content) == [("a.mp4", 1.0, 2.0, "x")]


def test_two_labels_are_said_once_for_each_two(capsys: pytest.CaptureFixture[str]) -> None:
    def rows(*shapes: tuple[str, str, float, float | None]) -> list[Annotation]:
        return [Annotation(Path(file), label, start=a, end=b) for file, label, a, b in shapes]

    say_overlaps(rows(("x", "a", 0, 5), ("x", "b", 4.95, 9), ("x", "b", 9, None), ("y", "c", 0, 1)))
    say_overlaps(rows(("x", "a", 0, 5), ("x", "a", 3, 6)))
    assert capsys.readouterr().err == ""
    say_overlaps(rows(
        ("x", "b", 0, 9.9), ("x", "a", 3, 9), ("y", "a", 0, 5), ("y", "b", 1, None),
        ("z.jpg", "a", 0, None), ("z.jpg", "c", 0, None), ("w", "d", 2, None), ("w", "c", 0, None),
    ))  # fmt: skip
    assert capsys.readouterr().err == (
        "warning: labelled both 'a' and 'b': x from 3.00 s to 9.00 s, and 1 more\n"
        "warning: labelled both 'a' and 'c': z.jpg\n"
        "warning: labelled both 'c' and 'd': w from 2.00 s to the end\n"
    )


def test_times_are_those_of_a_player(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a video begins after its sound."""
    monkeypatch.setattr(tables, "extent", lambda _: Extent(1.8, 9.8, 10.0, is_constant=True))
    head = "file,start,end,label\nv/match1.mp4,"
    assert said(folder, "t.csv", f"{head}0,4,x\n") == [("v/match1.mp4", 0.0, 4.0, "x")]
    frames = head.replace("start,end", "start_frame,end_frame")
    assert said(folder, "t.csv", f"{frames}0,5,x\n") == [("v/match1.mp4", 1.8, 2.3, "x")]
    with pytest.raises(UserError, match=r"has no frame at 1 s, it begins at 1\.8 s; correct it"):
        said(folder, "t.csv", f"{head}0,1,x\n")


def test_a_video_that_does_not_decode_is_left_to_the_loading(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    content = "file,start,end,label\na.mp4,1,2,x\n"
    assert said(tmp_path, "t.csv", content) == [("a.mp4", 1.0, 2.0, "x")]


def test_a_video_of_pictures_has_its_length(tmp_path: Path) -> None:
    """One whose container does not know it is read through."""
    write_video(tmp_path / "a.avi", [np.full((32, 48, 3), 5 * n, np.uint8) for n in range(30)], FPS)
    with pytest.raises(UserError, match=r"a\.avi has no frame at 9 s, it is 3\.0 s long"):
        said(tmp_path, "t.csv", "file,start,end,label\na.avi,4,9,x\n")

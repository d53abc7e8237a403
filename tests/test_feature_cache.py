import sqlite3
from pathlib import Path

import numpy as np
import pytest

from activity.errors import UserError
from activity.training.feature_cache import FeatureCache

VECTORS = np.random.default_rng(0).normal(size=(3, 1280)).astype(np.float32)
KEYS = [b"one", b"two", b"three"]
ROWS = list(zip(KEYS, VECTORS, strict=True))


def test_gives_back_what_was_written_rounded_to_float16(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "cache.sqlite"
    FeatureCache(path).write(ROWS)
    cache = FeatureCache(path)
    assert all(key in cache for key in KEYS)
    assert b"four" not in cache
    read = cache.read([b"three", b"one"])
    assert (read == VECTORS[[2, 0]].astype(np.float16)).all()
    assert read.dtype == np.float32
    with pytest.raises(KeyError):
        cache.read([b"one", b"four"])


def test_a_damaged_row_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    cache = FeatureCache(path)
    cache.write(ROWS)
    with sqlite3.connect(path) as database:
        damaged = bytearray(VECTORS[1].astype(np.float16).tobytes())
        damaged[100] ^= 1
        database.execute("UPDATE features SET vector = ? WHERE key = ?", (bytes(damaged), b"two"))
    assert [key in cache for key in KEYS] == [True, False, True]


def test_a_commit_is_whole_or_absent(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    with pytest.raises(UserError, match="cannot be used"):
        cache.write([*ROWS[:2], (["no key"], VECTORS[2])])  # type: ignore[list-item]
    assert not any(key in cache for key in KEYS)


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(UserError, match=r"not a database.*delete it or name another"):
        FeatureCache(path)

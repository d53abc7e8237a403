"""Features on disk: what the frozen base computed once is never computed again."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from activity.errors import UserError

# Without a sync per commit a power cut can lose the last rows, but never tear one.
SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS features
        (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL);
"""


class FeatureCache:
    """A table of float16 feature vectors by key; raises `UserError` if the file cannot be used.

    SQLite makes every commit whole or absent, so a run may be killed at any time and the next one
    goes on from there. Each row carries a checksum; a row that fails it counts as absent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reported():
            # Keras reads from a thread of its own, while this one waits for it.
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __contains__(self, key: bytes) -> bool:
        return bool(self._read(key))

    def write(self, features: Sequence[tuple[bytes, np.ndarray]]) -> None:
        """Store vectors, rounded to float16, under their keys in one commit."""
        blobs = ((key, vector.astype(np.float16).tobytes()) for key, vector in features)
        rows = [(key, blob, zlib.crc32(blob)) for key, blob in blobs]
        with self._reported(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the (N, features) float32 vectors of N keys; raise `KeyError` if one is absent."""
        blobs = [self._read(key) for key in keys]
        if b"" in blobs:
            raise KeyError(keys[blobs.index(b"")].hex())
        return np.stack([np.frombuffer(blob, np.float16) for blob in blobs], dtype=np.float32)

    def _read(self, key: bytes) -> bytes:
        """Return a vector as it is stored; nothing if it is absent or damaged."""
        query = "SELECT vector, checksum FROM features WHERE key = ?"
        with self._reported():
            row = self._database.execute(query, (key,)).fetchone()
        vector, checksum = row or (b"", 0)
        return vector if zlib.crc32(vector) == checksum else b""

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what SQLite raises (no database, disk full, locked) into a `UserError`."""
        try:
            yield
        except sqlite3.Error as error:
            fault = f"{self._path} cannot be used ({error})"
            raise UserError(f"{fault}; delete it or name another") from error

"""Features on disk: what the frozen base computed once is never computed again."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from activity.errors import UserError


class FeatureCache:
    """A table of float16 feature vectors by key, those of one base all of the same length.

    SQLite makes every commit whole or absent, so a run may be killed at any time and the next one
    goes on from there. Each row carries a checksum; a row that fails it counts as absent. Raises
    `UserError` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reported():
            # Keras reads from a thread of its own, while this one waits for it.
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            # Without a sync a commit a power cut can lose the last rows, but never tear one.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS features "
                "(key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL)"
            )

    def close(self) -> None:
        """Close the file; nothing can be read or written any more."""
        self._database.close()

    def __contains__(self, key: bytes) -> bool:
        return self._read(key) is not None

    def write(self, features: Sequence[tuple[bytes, np.ndarray]]) -> None:
        """Store vectors, rounded to float16, under their keys in one commit."""
        blobs = [(key, vector.astype(np.float16).tobytes()) for key, vector in features]
        with self._reported(), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
                [(key, blob, zlib.crc32(blob)) for key, blob in blobs],
            )

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the (N, features) float32 vectors of N keys; raise `KeyError` if one is absent."""
        vectors = []
        for key in keys:
            blob = self._read(key)
            if blob is None:
                raise KeyError(key.hex())
            vectors.append(np.frombuffer(blob, np.float16))
        return np.stack(vectors, dtype=np.float32)

    def _read(self, key: bytes) -> bytes | None:
        with self._reported():
            row: tuple[bytes, int] | None = self._database.execute(
                "SELECT vector, checksum FROM features WHERE key = ?", (key,)
            ).fetchone()
        if row is None or zlib.crc32(row[0]) != row[1]:
            return None
        return row[0]

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what SQLite raises (no database, disk full, locked) into a `UserError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(
                f"{self._path} cannot be used ({error}); delete it or name another", self._path
            ) from error

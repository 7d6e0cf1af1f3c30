"""A source of pieces that is read ahead by a thread of its own, so that decoding and using go on side by side."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING, Final

from .threads import mind_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

_AHEAD: Final = 3  # pieces


class Ahead:
    """Iterates another iterator in a thread; errors come out where the pieces do. Leave it with ``close``.

    ``ahead``: pieces that may wait.
    """

    def __init__(self, source: Iterator[bytes], ahead: int = _AHEAD) -> None:
        self._source = source
        self._pieces: Queue[bytes | BaseException | None] = Queue(ahead)
        self._stopped = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        mind_threads()
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        piece = self._pieces.get()
        if isinstance(piece, bytes):
            return piece
        self._ended = True
        if piece is None:
            raise StopIteration
        raise piece

    def close(self) -> None:
        """Stop reading; waits for the piece that is being read."""
        self._stopped = True
        while self._thread.is_alive():
            while not self._pieces.empty():
                self._pieces.get()
            self._thread.join(0.01)

    def _run(self) -> None:
        try:
            for piece in self._source:
                self._pieces.put(piece)
                if self._stopped:
                    return
        except BaseException as error:
            self._pieces.put(error)
        else:
            self._pieces.put(None)

"""Talking to the process that runs a job: a socket in the job's directory, one question and one answer a connection.

A question is a JSON object on a line, ``{"do": WORD, ...}``; the answer ``{"result": ...}`` or ``{"error": ...}``, as
errors are written everywhere. Descriptors may come with a question; whoever asks may say more before the answer, a line
each, and hangs up when the answer does not matter any more. The directory is its owner's alone, and so is the socket.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from warpforge.errors import PREFIX, Failed, Internal, Unable, WarpforgeError

NAME: Final = "socket"
MOST: Final = 3  # descriptors
LONGEST: Final = 1 << 24  # bytes of one question or answer
QUEUE: Final = 32
PAUSE: Final = 0.1  # seconds
PATIENCE: Final = 2.0  # seconds for answers that are under way

Answer = Callable[[Mapping[str, Any], "Asker"], Any]


class Asker:
    """Whoever asked: ``fds`` came with the question, and are closed after the answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.fds: list[int] = []
        self._connection = connection
        self._ahead = b""  # what came with the question and is none of it

    def question(self) -> bytes:
        """One line."""
        from warpforge.sandbox.rights import receive_rights  # whoever asks does without

        data = b""
        while b"\n" not in data and len(data) < LONGEST:
            more, fds = receive_rights(self._connection, 1 << 16, MOST)
            self.fds += fds
            if not more:
                break
            data += more
        line, _, self._ahead = data.partition(b"\n")
        return line

    def more(self) -> Iterator[Any]:
        """What is said before the answer, until whoever asked hangs up, or has been answered."""
        with suppress(OSError, ValueError), self._connection.makefile("rb") as lines:
            *whole, begun = self._ahead.split(b"\n")
            yield from map(json.loads, whole)
            for line in lines:
                yield json.loads(begun + line)
                begun = b""

    def close(self) -> None:
        """It is answered."""
        for fd in self.fds:
            os.close(fd)


@contextmanager
def _short(directory: str) -> Iterator[str]:
    """A name for the socket that fits into an address, however deep the directory lies."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


class Control:
    """Answers questions from threads of its own, until it is closed."""

    def __init__(self, directory: str, answer: Answer) -> None:
        """Errors: OSError."""
        self._answer = answer
        self._is_closed = False
        self._talking: list[threading.Thread] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{NAME}")
        with _short(directory) as address:
            self._socket.bind(address)
        self._socket.listen(QUEUE)
        self._serving = threading.Thread(target=self._serve, name="control", daemon=True)
        self._serving.start()

    def close(self) -> None:
        """No more questions; those that were asked are answered, if that takes no longer than a moment."""
        self._is_closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        self._socket.close()
        until = time.monotonic() + PATIENCE
        for thread in self._talking:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._is_closed:
                    return
                time.sleep(PAUSE)  # too many files are open, for now
                continue
            thread = threading.Thread(target=self._talk, args=(connection,), name="control answer", daemon=True)
            self._talking = [*(one for one in self._talking if one.is_alive()), thread]
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        asker = Asker(connection)
        with connection, suppress(OSError):
            try:
                reply = self._reply(asker)
            finally:
                asker.close()
            connection.sendall(json.dumps(reply).encode() + b"\n")
            connection.shutdown(socket.SHUT_RDWR)  # whoever still listens for more

    def _reply(self, asker: Asker) -> dict[str, Any]:
        try:
            return {"result": self._answer(json.loads(asker.question()), asker)}
        except WarpforgeError as error:
            return {"error": error.to_serial()}
        except Exception as error:
            return {"error": Internal("internal", f"{type(error).__name__}: {error}").to_serial()}


def ask(directory: str, do: str, /, **more: Any) -> Any:
    """One question to the process that runs a job, and its answer.

    Errors: ``connection`` when nobody answers there; whatever the answer is.
    """
    with Asking(directory, do, **more) as asking:
        return asking.answer()


class Asking:
    """A question that was asked, ``fds`` with it. Errors: as ``ask``."""

    def __init__(self, directory: str, do: str, /, *, fds: Sequence[int] = (), **more: Any) -> None:
        self._directory = directory
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(directory) as address:
                self.connection.connect(address)
            self._send({"do": do, **more}, fds)
        except OSError as error:
            self.connection.close()
            raise self._gone(error) from error

    def say(self, more: Any) -> None:
        """Something more, before the answer; nothing, if it has just come."""
        with suppress(OSError):
            self._send(more)

    def _send(self, value: Any, fds: Sequence[int] = ()) -> None:
        data = json.dumps(value).encode() + b"\n"
        if fds:
            data = data[socket.send_fds(self.connection, [data], fds) :]
        if data:  # even nothing cannot be sent to somebody who has answered and gone
            self.connection.sendall(data)

    def answer(self) -> Any:
        """Wait for it."""
        try:
            answer = json.loads(_read(self.connection))
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        if "error" in answer:
            raise revive(answer["error"])
        return answer["result"]

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def _gone(self, error: Exception) -> Unable:
        what = f"the process that runs this job does not answer ({error}): `pt ps` tells whether it runs"
        return Unable("connection", what, cause=error, path=self._directory)


def _read(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < LONGEST and (more := connection.recv(1 << 16)):
        data += more
    return data


def revive(serial: Mapping[str, Any]) -> WarpforgeError:
    """An error as it was written into an answer."""
    cause = revive(serial["cause"]) if "cause" in serial else None
    return Failed(serial["code"].removeprefix(PREFIX), serial["message"], cause=cause, **serial.get("details", {}))

"""OpenTelemetry spans of one command: to a file, one JSON object a line, or to a collector by OTLP over HTTP.

A span for the command, within it one for each step, within that one for each phase. Attributes have the names that
the original gave them (``warpforge.step.name``, ``warpforge.formula.id`` and so on), ours begin ``warpforge.``, too.
Needs the extra ``trace``. Trouble with a collector is a note and never an error: the work was done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final

from warpforge import __version__
from warpforge.cli.app import Common
from warpforge.cli.render import name
from warpforge.engine.events import (
    Event,
    Ingested,
    Reporter,
    StepFailed,
    StepFinished,
    StepPhase,
    StepStarted,
    WareSupplied,
)
from warpforge.errors import Unable, WarpforgeError, store_error

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

# names as the original has them
ERROR_CODE: Final = "warpforge.error.code"
FORMULA_ID: Final = "warpforge.formula.id"
INGEST_HASH: Final = "warpforge.ingest.hash"
INGEST_PATH: Final = "warpforge.ingest.path"
INGEST_REV: Final = "warpforge.ingest.rev"
STEP_NAME: Final = "warpforge.step.name"
WARE_ID: Final = "warpforge.ware.id"
EXEC_NAME: Final = "warpforge.exec.name"
# ours
MEMO_HIT: Final = "warpforge.memo.hit"
RUN_ID: Final = "warpforge.run.id"
SOURCE: Final = "warpforge.ware.source"

ENDPOINT: Final = "localhost:4318"
PATIENCE: Final = 5  # seconds that a collector has


class Traces(Reporter):
    """Makes spans of events, below the span of the command."""

    def __init__(self, tracer: Tracer, root: Span) -> None:
        self._tracer = tracer
        self._root = root
        self._lock = threading.Lock()
        self._steps: dict[tuple[str, ...], Span] = {}
        self._offset = time.time() - time.monotonic()

    def tell(self, event: Event) -> None:
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case StepPhase(seconds=None):
                self._step(event.step, event.began)
            case StepPhase():
                step = self._step(event.step, event.began)
                self._span(event.phase, event.began, event.seconds or 0.0, {STEP_NAME: name(event.step)}, step)
            case StepStarted():
                step = self._step(event.step, time.monotonic())
                step.set_attributes({FORMULA_ID: event.formula_id, RUN_ID: event.run_id, EXEC_NAME: event.sandbox})
            case StepFinished(hit=True) if event.step not in self._steps:
                facts = {STEP_NAME: name(event.step), FORMULA_ID: event.record.formula_id, MEMO_HIT: True}
                self._span(f"step {name(event.step)}", time.monotonic() - event.seconds, event.seconds, facts)
            case StepFinished():
                self._end(event.step)
            case StepFailed():
                self._end(event.step, event.error)
            case WareSupplied():
                facts = {WARE_ID: str(event.ware), SOURCE: event.source}
                self._span("supply ware", time.monotonic() - event.seconds, event.seconds, facts)
            case Ingested():
                self._ingested(event)

    def _ingested(self, event: Ingested) -> None:
        _, kind, rest = (*event.ingest.split(":", 2), "", "")[:3]
        path, _, rev = rest.rpartition(":") if kind == "git" else (rest, "", "")
        facts = {INGEST_PATH: path, WARE_ID: str(event.ware), INGEST_HASH: event.ware.hash}
        self._span("ingest", time.monotonic(), 0.0, {**facts, INGEST_REV: rev} if rev else facts)

    def _step(self, step: tuple[str, ...], at: float) -> Span:
        if step not in self._steps:
            self._steps[step] = self._begin(f"step {name(step)}", at, {STEP_NAME: name(step)}, self._root)
        return self._steps[step]

    def _end(self, step: tuple[str, ...], error: Exception | None = None) -> None:
        span = self._step(step, time.monotonic())
        del self._steps[step]
        if error is not None:
            fail(span, error)
        span.end()

    def _span(self, what: str, began: float, seconds: float, facts: dict[str, Any], parent: Span | None = None) -> None:
        self._begin(what, began, facts, parent or self._root).end(self._nanoseconds(began + seconds))

    def _begin(self, what: str, began: float, facts: dict[str, Any], parent: Span) -> Span:
        from opentelemetry.trace import set_span_in_context

        return self._tracer.start_span(
            what, context=set_span_in_context(parent), attributes=facts, start_time=self._nanoseconds(began)
        )

    def _nanoseconds(self, moment: float) -> int:
        return int((moment + self._offset) * 1e9)

    def close(self) -> None:
        """End what was left open: it was interrupted."""
        with self._lock:
            for step in [*self._steps]:
                self._end(step)


def fail(span: Span, error: BaseException) -> None:
    """Mark a span with the innermost error that is ours."""
    from opentelemetry.trace import StatusCode

    code = error.chain()[-1].code if isinstance(error, WarpforgeError) else type(error).__name__
    span.set_attribute(ERROR_CODE, code)
    span.set_status(StatusCode.ERROR, str(error))


@contextmanager
def traced(common: Common, command: str) -> Iterator[None]:
    """What is done inside is the command's span; ``common.traces`` hears events meanwhile.

    Errors: ``invalid-argument`` without the extra, ``store`` when the file cannot be written.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError as error:
        raise Unable(
            "invalid-argument",
            "tracing needs OpenTelemetry: pip install 'warpforge[trace]'",
            cause=error,
            reason="extra",
        ) from error
    troubles = _hear_troubles()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "warpforge", "service.version": __version__}), shutdown_on_exit=False
    )
    file = _add_file(provider, common.trace_file) if common.trace_file else None
    if common.trace_http or common.trace_endpoint:
        _add_collector(provider, common)
    try:
        with provider.get_tracer("warpforge", __version__).start_as_current_span(
            command, record_exception=False, set_status_on_exception=False
        ) as root:
            common.traces = Traces(provider.get_tracer("warpforge", __version__), root)
            try:
                yield
            except BaseException as error:
                fail(root, error)
                raise
            finally:
                common.traces.close()
    finally:
        provider.shutdown()
        if file is not None:
            with suppress(OSError):
                file.close()
        for trouble in troubles[:1]:
            common.note(f"warn  traces: {trouble}")


def _add_file(provider: TracerProvider, path: str) -> IO[str]:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    try:
        file = open(path, "w", encoding="utf-8")
    except OSError as error:
        raise store_error(error, f"cannot write traces to {path}") from error
    exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return file


def _add_collector(provider: TracerProvider, common: Common) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    url = url_of(common.trace_endpoint or ENDPOINT, insecure=common.trace_insecure)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=PATIENCE)))


def url_of(endpoint: str, *, insecure: bool) -> str:
    """The URL of a collector given as HOST:PORT or as a URL, with or without the path of traces."""
    url = endpoint if "://" in endpoint else f"{'http' if insecure else 'https'}://{endpoint}"
    _, _, rest = url.partition("://")
    return url if "/" in rest.rstrip("/") else f"{url.rstrip('/')}/v1/traces"


def _hear_troubles() -> list[str]:
    """What OpenTelemetry would log goes into this list, and nowhere else."""
    found: list[str] = []

    class Hear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage().splitlines()[0])

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(Hear(logging.WARNING))
    logger.propagate = False
    return found

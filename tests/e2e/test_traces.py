"""Profiles and OpenTelemetry spans of a run."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script, subplot
from support.world import World

STEPS = {
    "a": script("mkdir /out", "cp /src/x /out", inputs={"/src": "ingest:dir:src"}, outputs={"o": "/out"}),
    "deep": subplot(
        {"rootfs": "pipe::rootfs", "in": "pipe:a:o"},
        {"b": script("cat /in/x", inputs={"/in": "pipe::in"})},
        {},
    ),
    "bad": script("exit 3", inputs={"/in": "pipe:a:o"}),
}


@pytest.fixture
def made(box_world: World) -> World:
    box_world.write("src/x", "x\n")
    box_world.write("plot.wf", plot(STEPS))
    return box_world


def profile(world: World, *args: str) -> list[dict[str, Any]]:
    world.call("run", "--keep-going", "--profile", "profile.json", *args)
    document = world.read_json("profile.json")
    assert document.keys() == {"traceEvents", "displayTimeUnit"}
    events: list[dict[str, Any]] = document["traceEvents"]
    for event in events:
        assert isinstance(event["name"], str)
        assert event["ph"] in {"X", "M", "C", "i"}
        assert isinstance(event["pid"], int)
        if event["ph"] != "M":
            assert isinstance(event["ts"], int)
            assert event["ts"] >= 0
        if event["ph"] == "X":
            assert isinstance(event["dur"], int)
            assert event["dur"] >= 0
            assert isinstance(event["tid"], int)
    lanes = {event["tid"] for event in events if event["ph"] == "X"}
    assert lanes <= {event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    return events


def test_a_profile_has_a_slice_for_each_step_and_phase(made: World) -> None:
    events = profile(made)
    steps = {event["name"]: event for event in events if event.get("cat") == "step"}
    assert steps.keys() == {"a", "deep/b", "bad"}
    assert steps["bad"]["args"]["error"] == "warpforge-error-formula-execution-failed"
    assert set(steps["a"]["args"]["results"]) == {"o"}
    phases = [event for event in events if event.get("cat") == "phase"]
    assert {event["name"] for event in phases} == {"supply", "furnish", "box", "gather", "pack o"}
    for phase in phases:
        inside = [
            step
            for step in steps.values()
            if step["tid"] == phase["tid"]
            and step["ts"] <= phase["ts"]
            and phase["ts"] + phase["dur"] <= step["ts"] + step["dur"] + 2
        ]
        assert len(inside) == 1, phase
    slices = sorted(steps.values(), key=lambda step: (step["tid"], step["ts"]))
    for one, other in pairwise(slices):
        assert one["tid"] != other["tid"] or one["ts"] + one["dur"] <= other["ts"], "two steps in one lane"
    counts = [event["args"]["running"] for event in events if event["ph"] == "C"]
    assert max(counts) >= 1
    assert counts[-1] == 0
    again = profile(made)
    assert {event["name"] for event in again if event.get("cat") == "memo"} == {"a", "deep/b"}


def test_a_profile_that_cannot_be_written_is_told_before_anything_runs(made: World) -> None:
    assert made.fail("run", "--profile", "no/such/place.json").code == "store"
    assert made.run("log").out == ""


class Collector:
    """An OTLP/HTTP receiver on loopback."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                outer.paths.append(self.path)
                for group in request.resource_spans:
                    outer.resources.append(group.resource)
                    outer.spans += [span for scope in group.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.server.shutdown()
    found.server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def test_spans_reach_a_collector_with_the_originals_names(made: World, collector: Collector) -> None:
    flags = ["--trace.http.enable", "--trace.http.insecure", "--trace.http.endpoint", collector.address]
    made.call(*flags, "run", "--keep-going")
    assert set(collector.paths) == {"/v1/traces"}
    names = {pair.key: pair.value.string_value for pair in collector.resources[0].attributes}
    assert names["service.name"] == "warpforge"
    spans = {span.name: span for span in collector.spans}
    ids = {span.span_id: span.name for span in collector.spans}
    parents = {span.name: ids.get(span.parent_span_id, "") for span in collector.spans}
    root = spans["warpforge run"]
    assert parents["warpforge run"] == ""
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    for step in ("step a", "step deep/b", "step bad"):
        assert parents[step] == "warpforge run"
    found = attributes(spans["step deep/b"])
    assert found["warpforge.step.name"] == "deep/b"
    assert found["warpforge.formula.id"].startswith("z")
    assert found["warpforge.exec.name"] in ("bwrap", "runc")
    assert attributes(spans["step bad"])["warpforge.error.code"] == "warpforge-error-formula-execution-failed"
    assert spans["step bad"].status.code == 2
    assert attributes(root)["warpforge.error.code"] == "warpforge-error-formula-execution-failed"
    ingest = attributes(spans["ingest"])
    assert ingest["warpforge.ingest.path"] == "src"
    assert ingest["warpforge.ware.id"] == f"ztar:{ingest['warpforge.ingest.hash']}"
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert parents["pack o"] == "step a"


def test_the_flags_stand_before_or_after_the_command_and_spans_go_to_a_file(made: World, tmp_path: Path) -> None:
    made.call("--trace.file", "one.jsonl", "run", "--keep-going")
    made.run("status", "--trace.file=two.jsonl")
    one, two = (
        [json.loads(line) for line in made.path(name).read_text().splitlines()] for name in ("one.jsonl", "two.jsonl")
    )
    assert "step a" in {span["name"] for span in one}
    assert [span["name"] for span in two] == ["warpforge status"]


def test_a_collector_that_is_not_there_is_a_note(made: World, collector: Collector) -> None:
    address = collector.address
    collector.server.shutdown()
    collector.server.server_close()
    made.write("plot.wf", plot({"one": script("true")}))
    done = made.run("--json", "run", "--trace.http.endpoint", f"http://{address}")
    assert any("traces" in line["Msg"] for line in done.all("log"))
    assert len(done.all("runrecord")) == 1


def test_a_file_that_cannot_be_written_is_told_before_anything_runs(made: World) -> None:
    assert made.fail("run", "--trace.file", "no/such/place").code == "store"
    assert made.run("log").out == ""

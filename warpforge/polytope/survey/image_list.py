"""Which images a project's files name, as far as that can be told without running anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from warpforge.errors import WarpforgeError
from warpforge.mirror.reference import parse_reference
from warpforge.polytope.calls.expand import Call, Leaf, expand
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.calls.steps import plan_steps
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library
from warpforge.polytope.marks import Unknown
from warpforge.polytope.nouns import Module, Template, Value
from warpforge.polytope.survey.checking import NoStores
from warpforge.polytope.survey.showing import describe_parameter

_BUILDER: Final = "build-image"


def list_images(library: Library, evaluator: Evaluator, cwd: str) -> list[str]:
    """References as containers will be given them, sorted; of what the project's own files say, and what these call.
    Those that the project builds itself are no registry's."""
    resolver = Resolver(library, evaluator, NoStores(), cwd=cwd, is_dry=True)
    found = set()
    built = set()
    for file in library.files:
        for noun in file.nouns:
            with suppress(WarpforgeError):
                for leaf in _leaves(noun, resolver):
                    image = leaf.params.get("image")
                    if leaf.primitive == "container" and isinstance(image, str) and not isinstance(image, Unknown):
                        found.add(image)
                    tags = leaf.params.get("tags") if leaf.levels[-1].noun.id == _BUILDER else None
                    built |= {_whole(str(tag)) for tag in tags} if isinstance(tags, list) else set()
    return sorted(image for image in found if _whole(image) not in built)


def _whole(name: str) -> str:
    """A name with all that may be left out of it; as it is when it is none."""
    try:
        return str(parse_reference(name))
    except WarpforgeError:
        return name


def _leaves(noun: Module | Template, resolver: Resolver) -> Iterator[Leaf]:
    params = [param for param in noun.params if describe_parameter(param)["required"]]
    args: dict[str, Value] = {param.id: Unknown(f"pt.param {param.id}") for param in params}
    call = Call(reference=noun.id, args=args)
    if isinstance(noun, Module):
        yield expand(call, resolver)
        return
    for step in plan_steps([[call]], resolver):
        if step.call:
            with suppress(WarpforgeError):
                given = resolver.resolve(step.args, step.frame, step.way)
                assert isinstance(given, dict)
                yield expand(Call(reference=step.call, args=given, file=step.frame.file), resolver)

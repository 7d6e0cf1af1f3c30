"""What a job would run as: formula, box or code, and why; and the plot that its formulas are together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Literal, NamedTuple, Protocol

from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.atoms import Pipe, WareId
from warpforge.model.plot import Plot, PlotBasis, PlotInput, Protoformula
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.expand import Call, Leaf
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.calls.steps import JobStep, begin, plan_steps
from warpforge.polytope.containers.image import ImageConfig
from warpforge.polytope.hermetic.choosing import Choice, judge, names_of
from warpforge.polytope.hermetic.purity import UNSAID, Impurity, make_plot, make_protoformula
from warpforge.polytope.hermetic.sources import Bases, find_bases
from warpforge.polytope.marks import find_unknown
from warpforge.polytope.modules.primitives import CONTAINER
from warpforge.polytope.spec import ContainerSpec, DatasetSource

Verdict = Literal["formula", "box", "code", "wrong"]


class Planned(NamedTuple):
    """One step. ``spec``: of a container; ``why``: what keeps it from being a formula; ``after``: steps before it;
    ``can_be``: it would be a formula if all that can be were."""

    id: str
    call: str
    verdict: Verdict
    why: tuple[Impurity, ...] = ()
    after: tuple[str, ...] = ()
    spec: ContainerSpec | None = None
    can_be: bool = False

    @property
    def is_near(self) -> bool:
        """Whether it would be a formula if it were said to be one."""
        return self.verdict == "box" and bool(self.why) and all(one.reason == UNSAID for one in self.why)


class World(NamedTuple):
    """What judging takes. ``pinned``: what an image's name is pinned to (nothing is fetched); ``dataset``: what a
    version of a dataset is; ``plot``: the directory that a plot would lie in; ``choice``: what is run as formulas."""

    resolver: Resolver
    cwd: str
    home: str
    plot: str
    pinned: Callable[[str], WareId | None]
    dataset: Callable[[DatasetSource], WareId | None]
    choice: Choice = Choice()


def plan_job(calls: Sequence[Sequence[Call]], world: World) -> list[Planned]:
    """Every step of a job, in order. Errors: as ``plan_steps``."""
    planned: list[Planned] = []
    coming: set[str] = set()
    for step in plan_steps(calls, world.resolver):
        planned.append(_plan(step, world, coming))
        spec = planned[-1].spec
        coming.update(sink.dataset for sink in (spec.datasets if spec else ()))
    return planned


def _plan(step: JobStep, world: World, coming: Set[str]) -> Planned:
    after = tuple(dict.fromkeys(edge.step for edge in step.after))
    blank = Planned(step.id, step.call, "wrong", after=after)
    try:
        leaf = begin(step, world.resolver)
        if leaf.code is not None:
            return blank._replace(
                verdict="code", why=(Impurity("code", "it is code, which may ask anything of its job"),)
            )
        if leaf.primitive != CONTAINER:
            text = f"polytope/{leaf.primitive} is carried out by the job itself"
            return blank._replace(verdict="code", why=(Impurity("primitive", text),))
        return _judge(leaf, blank, world, coming)
    except WarpforgeError as error:
        return blank._replace(why=(Impurity("wrong", error.message),))


def _judge(leaf: Leaf, planned: Planned, world: World, coming: Set[str]) -> Planned:
    unknown = find_unknown(leaf.params)
    if unknown is not None:
        later = Impurity("unknown", f"it depends on {unknown}, which is known when it runs")
        return planned._replace(verdict="box", why=(later,))
    resolver = world.resolver
    facts = Facts(
        base=leaf.base,
        cwd=world.cwd,
        root=resolver.project(),
        home=world.home,
        step=planned.id,
        secrets=frozenset(resolver.secrets),
    )
    spec = world.choice.said(make_container(leaf.params, facts), names_of(leaf, planned.id))

    def find(spec: ContainerSpec) -> Bases:
        return find_bases(spec, resolver.project(), world.plot, lambda one: _dataset(one, world, coming))

    found = judge(spec, world.pinned(spec.image), find, every=world.choice.every)
    return planned._replace(verdict="box" if found.why else "formula", why=found.why, spec=spec, can_be=found.can_be)


def _dataset(source: DatasetSource, world: World, coming: Set[str]) -> PlotBasis | None:
    """What a dataset is, or will be once an earlier step has run."""
    return world.dataset(source) or (Pipe("earlier", source.dataset) if source.dataset in coming else None)


class Images(Protocol):
    """What images are, brought here."""

    def name(self, image: str) -> WareId | None:
        """What a name is pinned to, without fetching anything."""

    def find(self, image: str) -> WareId | None:
        """What a name is pinned to; None when it is not. Errors: ``fetch``, ``missing``."""

    def config(self, ware: WareId) -> ImageConfig:
        """What an image says of its start."""

    def spell(self, image: str, ware: WareId) -> PlotBasis:
        """How a plot names it, so that other machines find it, too."""


def make_job_plot(planned: Sequence[Planned], world: World, images: Images) -> Plot:
    """The formulas of a job as one plot. A dataset that an earlier step keeps is a pipe from it.

    Errors: ``missing`` for a dataset that there is not; ``invalid``; those of ``images``.
    """
    bodies: dict[str, Protoformula] = {}
    made: dict[str, Pipe] = {}
    for step in planned:
        spec = step.spec
        image = images.find(spec.image) if spec and step.verdict == "formula" else None
        if spec is None or image is None:
            continue
        bases = _bases(spec, made, world)
        body = make_protoformula(spec, image, images.config(image), bases)
        named = {
            port: PlotInput.of(images.spell(spec.image, image)) if port == "/" else one
            for port, one in body.inputs.items()
        }
        bodies[step.id] = Protoformula(named, body.action, body.outputs)
        made.update((label, Pipe(step.id, label)) for label in body.outputs)
    return make_plot(bodies)


def _bases(spec: ContainerSpec, made: Mapping[str, Pipe], world: World) -> Mapping[str, PlotBasis]:
    def find(source: DatasetSource) -> PlotBasis | None:
        pipe = made.get(source.dataset) if source.version == 0 else None
        return pipe or world.dataset(source)

    found = find_bases(spec, world.resolver.project(), world.plot, find)
    if found.impurities:
        raise Invalid("invalid", f"{spec.id}: {'; '.join(one.text for one in found.impurities)}", reason="hermetic")
    return found.bases

"""From a repository to a registered template, for one attempt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial

from binder_build.collection import Collection
from binder_build.documents import Documents
from binder_build.environment_images import EnvironmentImages, Render, Workbench
from binder_build.finished_images import FinishedImages, Work
from binder_build.images.order import BuildLimits
from binder_build.images.store import BuiltImage, ImageStore
from binder_build.job import Job
from binder_build.recipes import Recipes
from binder_build.recorder import Recorder
from binder_build.records import Attempt
from binder_build.secrets.build_secrets import BuildSecrets
from binder_build.secrets.store import CredentialStore
from binder_build.sources.dates import bounded, common_date, date_files
from binder_build.sources.large_folders import set_apart
from binder_build.sources.places import Places
from binder_build.sources.repository import parse_repository
from binder_build.sources.source import Checkout, FetchLimits, Revision, Source
from binder_build.store import AttemptStore
from binder_build.templates import Templates, spec_of
from binder_plan.recipe import Recipe
from binder_plan.tree import Tree
from binder_protocol.models import BuildPhase, TemplateSpec
from binder_protocol.service.app import version

_SHORT_COMMIT = 12


@dataclass(frozen=True)
class Limits:
    """What an attempt may take; durations of phases in seconds."""

    fetch: FetchLimits
    build: BuildLimits
    plan_seconds: float
    push_seconds: float
    register_seconds: float


@dataclass(frozen=True)
class Adapters:
    """What attempts are made with. `places` are for their files, `registry` where images are pushed to, if anywhere."""

    store: AttemptStore
    documents: Documents
    source: Source
    credentials: CredentialStore
    recipes: Recipes
    images: ImageStore
    environments: EnvironmentImages
    finishing: FinishedImages
    collection: Collection
    templates: Templates
    places: Places
    registry: str | None
    limits: Limits


class Pipeline:
    """One attempt on its way."""

    def __init__(self, adapters: Adapters, job: Job, recorder: Recorder) -> None:
        request = job.attempt.subject.request
        self._adapters = adapters
        self._limits = adapters.limits
        self._job = job
        self._recorder = recorder
        self._repository = parse_repository(request.repository, request.ref, request.subdir)
        self._files = adapters.places.take(job.attempt.name, job.attempt.number)

    @property
    def _attempt(self) -> Attempt:
        return self._job.attempt

    def run(self) -> None:
        """Registers the template, or raises BinderError or Cancelled. No image stays without a use."""
        revision = self._resolve()
        spec = self._kept_image(revision)
        if spec is None:
            checkout = self._fetch(revision)
            reference = self._reference(revision)
            recipe, image = self._build(checkout, self._plan(checkout, revision), revision, reference)
            spec = spec_of(self._attempt.subject, revision, recipe, image, self._push(image, reference))
            self._recorder.learn(spec=spec)
        self._register(spec)

    def clean(self) -> None:
        """Removes the attempt's files: seconds for a repository of very many, and nobody has to wait for that."""
        self._adapters.places.clear(self._files)

    def _resolve(self) -> Revision:
        if self._attempt.revision is not None:
            return self._attempt.revision
        with self._recorder.phase(BuildPhase.FETCHING, self._limits.fetch.seconds):
            revision = self._adapters.source.resolve(
                self._repository,
                credential=self._secret(),
                seconds=self._limits.fetch.seconds,
                cancel=self._job.cancel,
            )
            self._recorder.learn(revision=revision, recipe=self._adapters.recipes.key(self._attempt.subject, revision))
        return revision

    def _kept_image(self, revision: Revision) -> TemplateSpec | None:
        """What an earlier attempt made by the same recipe, if it is still there and nobody forces a new one."""
        if self._attempt.subject.request.force:
            return None
        recipe = self._adapters.recipes.key(self._attempt.subject, revision)
        earlier = self._adapters.store.with_image(self._attempt.name, recipe)
        if earlier is None or earlier.spec is None or not self._adapters.images.exists(earlier.spec.image):
            return None
        self._recorder.note(f"attempt {earlier.number} built this commit already; its image is taken")
        self._adapters.documents.inherit(self._attempt, earlier)
        self._recorder.learn(cached=True, buildpack=earlier.buildpack, spec=earlier.spec, reference=earlier.reference)
        return earlier.spec

    def _fetch(self, revision: Revision) -> Checkout:
        with self._recorder.phase(BuildPhase.FETCHING, self._limits.fetch.seconds):
            self._adapters.collection.make_room(self._recorder.note)
            checkout = self._adapters.source.fetch(
                self._repository,
                revision,
                self._files / "source",
                limits=self._limits.fetch,
                submodules=self._attempt.subject.request.options.submodules,
                credential=self._secret(),
                cancel=self._job.cancel,
                on_note=self._recorder.note,
            )
            date = common_date(bounded(checkout.committed_at), checkout.files)
            date_files(checkout.path, date, checkout.contents, self._adapters.places.key)
            return replace(checkout, contents={})  # of very many files it is large, and it has served

    def _plan(self, checkout: Checkout, revision: Revision) -> Recipe:
        with self._recorder.phase(BuildPhase.PLANNING, self._limits.plan_seconds):
            recipe = self._adapters.environments.recipe(self._render(checkout, revision))
            self._recorder.learn(buildpack=recipe.buildpack)
            self._recorder.note(f"{recipe.buildpack}: {recipe.reason}")
            for warning in recipe.warnings:
                self._recorder.note(f"warning: {warning}")
            return recipe

    def _render(self, checkout: Checkout, revision: Revision) -> Render:
        tree = Tree(checkout.path, revision.subdir)
        options = self._attempt.subject.request.options
        return partial(self._adapters.recipes.recipe, tree, self._repository, options, self._secrets)

    def _build(
        self, checkout: Checkout, recipe: Recipe, revision: Revision, reference: str
    ) -> tuple[Recipe, BuiltImage]:
        """The image, and the recipe by which it came about in the end."""
        with self._image_only_if_used(reference), self._recorder.phase(BuildPhase.BUILDING, self._limits.build.seconds):
            bench = Workbench(
                context=Tree(checkout.path, revision.subdir).root,
                limits=self._limits.build,
                no_cache=self._attempt.subject.request.force,
                on_event=self._recorder.progress,
                cancel=self._job.cancel,
                secrets=self._secrets,
                repository=self._repository.url,
            )
            render = self._render(checkout, revision)
            recipe, environment = self._adapters.environments.ensure(recipe, render, bench)
            set_apart(bench.context, recipe.large_folders)
            work = Work(recipe, environment, reference, self._labels(revision), bounded(checkout.committed_at))
            image = self._adapters.finishing.build(work, bench, self._attempt)
            return recipe, image

    def _push(self, image: BuiltImage, reference: str) -> str:
        """What the template launches: the image's id here, or its digest where it was pushed to."""
        if self._adapters.registry is None:
            return image.id
        with self._image_only_if_used(reference), self._recorder.phase(BuildPhase.PUSHING, self._limits.push_seconds):
            return self._adapters.images.push(
                reference,
                seconds=self._limits.push_seconds,
                on_event=self._recorder.progress,
                cancel=self._job.cancel,
            )

    @contextmanager
    def _image_only_if_used(self, reference: str) -> Iterator[None]:
        """Kept in the row before there is an image, so that none is forgotten; gone with what fails within."""
        self._recorder.learn(reference=reference)
        try:
            yield
            self._job.check()
        except BaseException:
            self._adapters.images.remove(reference)
            self._recorder.learn(reference=None)
            raise

    def _register(self, spec: TemplateSpec) -> None:
        with self._recorder.phase(BuildPhase.REGISTERING, self._limits.register_seconds):
            built = self._adapters.store.registered(self._attempt.name)
            template = self._job.wait_for(lambda: self._adapters.templates.register(spec, built))
            self._recorder.learn(template=template.name)

    def _reference(self, revision: Revision) -> str:
        """The image's name on the engine; an earlier image of this commit keeps its own: templates may launch it."""
        repository = f"{self._adapters.registry or 'binder'}/{self._attempt.name}"
        reference = f"{repository}:{revision.commit[:_SHORT_COMMIT]}"
        if self._adapters.store.reference_taken(reference, self._attempt):
            return f"{reference}-{self._attempt.number}"
        return reference

    def _labels(self, revision: Revision) -> dict[str, str]:
        return {
            "org.binder.name": self._attempt.name,
            "org.binder.repository": self._repository.url,
            "org.binder.commit": revision.commit,
            "org.binder.version": version(),
        }

    @cached_property
    def _secrets(self) -> BuildSecrets:
        options = self._attempt.subject.request.options
        return self._adapters.credentials.for_build(options.secrets, self._repository)

    def _secret(self) -> str | None:
        return self._adapters.credentials.secret(self._attempt.subject.request.credential, self._repository)

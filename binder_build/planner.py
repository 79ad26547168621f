"""What would be built: the answer to a request for a plan, without building anything."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections import OrderedDict
from functools import partial
from pathlib import Path

from binder_build.admission import subject_of
from binder_build.environment_images import EnvironmentImages
from binder_build.images.store import ImageStore
from binder_build.process import Cancelled
from binder_build.recipes import Recipes
from binder_build.secrets.store import CredentialStore
from binder_build.sources.repository import Repository, parse_repository
from binder_build.sources.source import FetchLimits, Revision, Source
from binder_build.store import AttemptStore
from binder_plan.tree import Tree
from binder_protocol.errors import BuildTimeout, Unavailable
from binder_protocol.models import BuildOptions, BuildRequest, Plan, PlanRequest

_REMEMBERED = 256
_WAIT_SECONDS = 5.0


class Planner:
    """Plans at most `at_once`, each within `seconds`; the newest plans are remembered by their commit."""

    def __init__(
        self,
        *,
        store: AttemptStore,
        images: ImageStore,
        source: Source,
        credentials: CredentialStore,
        recipes: Recipes,
        environments: EnvironmentImages,
        work: Path,
        at_once: int,
        limits: FetchLimits,
        seconds: float,
    ) -> None:
        self._store = store
        self._images = images
        self._source = source
        self._credentials = credentials
        self._recipes = recipes
        self._environments = environments
        self._work = work
        self._free = threading.BoundedSemaphore(at_once)
        self._limits = limits
        self._seconds = seconds
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple[str, str], Plan] = OrderedDict()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Nothing is needed."""

    def stop(self) -> None:
        """Ends what is being fetched."""
        self._stopping.set()

    def plan(self, request: PlanRequest) -> Plan:
        """Raises what is wrong with the repository, BuildTimeout, and Unavailable where too many ask at once."""
        repository = parse_repository(request.repository, request.ref, request.subdir)
        secret = self._credentials.secret(request.credential, repository)
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise Unavailable("other plans are being made", retry_after=10)
        try:
            return self._plan(request, repository, secret, time.monotonic() + self._seconds)
        except Cancelled:
            raise Unavailable("the service is stopping", retry_after=10) from None
        finally:
            self._free.release()

    def _plan(self, request: PlanRequest, repository: Repository, secret: str | None, deadline: float) -> Plan:
        revision = self._source.resolve(repository, credential=secret, seconds=_left(deadline), cancel=self._stopping)
        build = BuildRequest.model_validate(request.model_dump())
        recipe = self._recipes.key(subject_of(build, repository), revision)
        plan = self._remembered((repository.name, recipe))
        if plan is None:
            plan = self._made(repository, request.options, revision, secret, deadline)
            self._remember((repository.name, recipe), plan)
        earlier = self._store.with_image(repository.name, recipe)
        built = earlier is not None and earlier.spec is not None and self._images.exists(earlier.spec.image)
        ready = self._environments.is_ready(plan.environment) if plan.environment else None
        return plan.model_copy(update={"built": built, "environment_ready": ready})

    def _remembered(self, key: tuple[str, str]) -> Plan | None:
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
            return plan

    def _remember(self, key: tuple[str, str], plan: Plan) -> None:
        with self._lock:
            self._plans[key] = plan
            while len(self._plans) > _REMEMBERED:
                self._plans.popitem(last=False)

    def _made(
        self,
        repository: Repository,
        options: BuildOptions,
        revision: Revision,
        secret: str | None,
        deadline: float,
    ) -> Plan:
        files = self._work / f"plan-{uuid.uuid4().hex}"
        limits = FetchLimits(self._limits.bytes, self._limits.files, _left(deadline), self._limits.free_bytes)
        try:
            checkout = self._source.fetch(
                repository, revision, files, limits=limits, credential=secret, cancel=self._stopping
            )
            tree = Tree(checkout.path, revision.subdir)
            secrets = self._credentials.for_build(options.secrets, repository)
            recipe = self._environments.recipe(partial(self._recipes.recipe, tree, repository, options, secrets))
            return recipe.plan(
                name=repository.name,
                repository=repository.url,
                commit=revision.commit,
                ref=revision.ref,
                subdir=revision.subdir,
            )
        finally:
            shutil.rmtree(files, ignore_errors=True)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise BuildTimeout("making the plan took longer than it may")
    return left

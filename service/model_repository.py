"""The models that are served, by name and version, and how they come and go while requests are answered.

For one event loop: what a request sees changes between two of its steps, never within one. Loading, and closing what is
no longer wanted, run in threads.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from service.bundle_folder import FoundBundle, find_bundles, version_order
from service.contract.bundle_manifest import BundleError
from service.dynamic_batching import BatcherCondition
from service.engine import KeypointEngine
from service.errors import Conflict, InvalidParameter, NotFound, NotReady, StartupError, UnusableBundle
from service.loaded_model import LoadedModel
from service.metrics import Metrics
from service.process_memory import give_back_memory

_logger = logging.getLogger(__name__)


class LoadedBundle(NamedTuple):
    """An engine, and the folder that it came from."""

    folder: Path
    engine: KeypointEngine


def load_bundles(root: Path, load: Callable[[Path], KeypointEngine]) -> list[LoadedBundle]:
    """Everything that a server is to start with: all bundles below a folder, or none where one of them is faulty.

    Raises:
        BundleError: a bundle cannot be used, or there is none.
    """
    found = find_bundles(root)
    for bundle in found:
        if bundle.fault:
            raise BundleError(bundle.fault)
    return [LoadedBundle(bundle.folder, load(bundle.folder)) for bundle in found]


class Refusal(NamedTuple):
    """A bundle that a rescan left as it was, and why."""

    name: str
    version: str
    why: str


class Rescan(NamedTuple):
    """What a rescan has changed, and what it could not."""

    loaded: list[LoadedModel]
    unloaded: list[LoadedModel]
    refused: list[Refusal]


class _Place:
    """A model in the repository, and who uses it."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.users = 0
        self.unused = asyncio.Event()
        self.unused.set()

    @contextmanager
    def use(self) -> Iterator[LoadedModel]:
        self.users += 1
        self.unused.clear()
        try:
            yield self.model
        finally:
            self.users -= 1
            if not self.users:
                self.unused.set()


class ModelRepository:
    """Models by name and version.

    A model that is loaded in another's place is verified and warm before it is seen, and the other one is closed when
    the last request that uses it is done. What cannot be loaded changes nothing.

    Args:
        root: the folder that bundles are loaded from.
        load: a verified engine from the folder of a bundle; called in a thread.
        start: makes a model that may serve from its engine and folder; called in a thread.
        metrics: told of the models.
        default: the name of the model of requests that name none; None if that is the only one there is.
    """

    def __init__(
        self,
        root: Path,
        load: Callable[[Path], KeypointEngine],
        start: Callable[[KeypointEngine, Path], LoadedModel],
        metrics: Metrics,
        default: str | None = None,
    ) -> None:
        self.root = root
        self._load = load
        self._start = start
        self._metrics = metrics
        self._default = default
        self._places: list[_Place] = []  # by name and ascending version
        self._changing = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()
        metrics.watch_queue(lambda: sum(model.batcher.depth for model in self.models))

    @property
    def models(self) -> list[LoadedModel]:
        """Every model that is served, by name and ascending version."""
        return [place.model for place in self._places]

    @property
    def default_name(self) -> str | None:
        """The name of the model of requests that name none, if there is one."""
        names = {model.identity.name for model in self.models}
        return self._default or (names.pop() if len(names) == 1 else None)

    def start(self, bundles: Sequence[LoadedBundle]) -> None:
        """Warm up and serve what was loaded before; once. Blocks."""
        for bundle in bundles:
            self._put(self._start(bundle.engine, bundle.folder))

    async def close(self) -> None:
        """Finish what every model has accepted."""
        await asyncio.gather(*(asyncio.to_thread(model.close) for model in self.models), *self._draining)
        self._places = []

    def versions(self, name: str) -> list[str]:
        """The versions of a model that are served, ascending."""
        return [model.identity.version for model in self.models if model.identity.name == name]

    def ready_conditions(self) -> list[BatcherCondition]:
        """Of what requests that name no model get; of every model, if there is no default."""
        return [model.batcher.condition for model in self._answering_by_default()]

    def conditions(self) -> list[BatcherCondition]:
        """Of every model that is served."""
        return [model.batcher.condition for model in self.models]

    def _answering_by_default(self) -> list[LoadedModel]:
        return self.models if self.default_name is None else [self.find()]

    @contextmanager
    def use(self, name: str | None = None, version: str | None = None) -> Iterator[LoadedModel]:
        """The model of that name and version, which is not closed while the block runs.

        Args:
            name: None for the default.
            version: None for the newest.

        Raises:
            InvalidParameter: no name, and no default.
            NotFound: there is no such model.
            NotReady: the server is not up, or has stopped.
        """
        with self._place(name, version).use() as model:
            yield model

    def find(self, name: str | None = None, version: str | None = None) -> LoadedModel:
        """The model that a request for this name and version would use; raises as `use`."""
        return self._place(name, version).model

    async def load(self, name: str, version: str | None = None) -> tuple[LoadedModel, list[LoadedModel]]:
        """Load a bundle afresh, in place of the model that came from the same folder, if there is one.

        Args:
            name: of the model.
            version: None for the newest that is there.

        Returns:
            the model that is served now, and those that are not any more.

        Raises:
            NotFound: the folder has no such bundle.
            UnusableBundle: it is not whole, does not answer as it should, or does not run here.
            Conflict: the default model would be gone.
        """
        async with self._changing:
            found = await self.find_bundles()
            of_folder = {model.folder for model in self.models if model.identity.name == name}
            of_name = [bundle for bundle in found if bundle.name == name or bundle.folder in of_folder]
            wanted = [bundle for bundle in of_name if version in (None, bundle.version)]
            if not wanted:
                there = ", ".join(f"{bundle.name} {bundle.version}" for bundle in found)
                raise NotFound(f"there is no bundle {name!r} {version or ''} to load; there is {there}")
            return await self._bring_in(wanted[-1])

    async def unload(self, name: str, version: str | None = None) -> list[LoadedModel]:
        """Take a model out of service: one version of it, or all.

        Raises:
            NotFound: there is no such model.
            Conflict: it is what requests that name no model get.
        """
        async with self._changing:
            leaving = [
                place
                for place in self._places
                if place.model.identity.name == name and version in (None, place.model.identity.version)
            ]
            if not leaving:
                self._place(name, version)  # says what there is
            self._take_out(leaving)
            return [place.model for place in leaving]

    async def rescan(self) -> Rescan:
        """Make what is served what lies in the folder: load what is new or has another manifest, unload what is gone.

        Raises:
            UnusableBundle: the folder cannot be read, or holds no bundle; then nothing changes.
        """
        async with self._changing:
            found = await self.find_bundles()
            report = Rescan([], [], [])
            for bundle in found:
                if self._is_served(bundle):
                    continue
                try:
                    loaded, unloaded = await self._bring_in(bundle)
                    report.loaded.append(loaded)
                    report.unloaded.extend(unloaded)
                except (UnusableBundle, Conflict) as error:
                    report.refused.append(Refusal(bundle.name, bundle.version, str(error)))
            folders = {bundle.folder for bundle in found}
            for place in [place for place in self._places if place.model.folder not in folders]:
                try:
                    self._take_out([place])
                    report.unloaded.append(place.model)
                except Conflict as error:
                    name, version, _ = place.model.identity
                    report.refused.append(Refusal(name, version, str(error)))
            return report

    def _place(self, name: str | None, version: str | None) -> _Place:
        names = sorted({model.identity.name for model in self.models})
        if not names:
            raise NotReady("no model is served")
        name = name or self.default_name
        if name is None:
            raise InvalidParameter(f"model: expected one of {', '.join(names)}, as there is no default; found none")
        of_name = [place for place in self._places if place.model.identity.name == name]
        if not of_name:
            raise NotFound(f"there is no model {name!r}; this server has {', '.join(map(repr, names))}")
        of_version = [place for place in of_name if version in (None, place.model.identity.version)]
        if not of_version:
            versions = ", ".join(place.model.identity.version for place in of_name)
            raise NotFound(f"there is no version {version!r} of {name!r}; this server has {versions}")
        return of_version[-1]

    def _is_served(self, bundle: FoundBundle) -> bool:
        return any(model.folder == bundle.folder and model.manifest == bundle.manifest for model in self.models)

    async def find_bundles(self) -> list[FoundBundle]:
        """What could be loaded.

        Raises:
            UnusableBundle: the folder cannot be read, or holds no bundle.
        """
        try:
            return await asyncio.to_thread(find_bundles, self.root)
        except BundleError as error:
            raise UnusableBundle(str(error)) from error

    async def _bring_in(self, bundle: FoundBundle) -> tuple[LoadedModel, list[LoadedModel]]:
        """Load, warm up, and only then change anything."""
        if bundle.fault:
            raise _refused(bundle.fault)
        self._refuse_to_lose_default(self._replaced_by(bundle), bundle.name)
        try:
            model = await asyncio.to_thread(self._make, bundle.folder)
        except (BundleError, StartupError) as error:
            raise _refused(str(error)) from error
        if model.manifest != bundle.manifest:
            await asyncio.to_thread(model.close)
            raise _refused(f"{bundle.folder}: it changed while it was loaded")
        replaced = self._replaced_by(bundle)
        self._retire(replaced)
        self._places = [place for place in self._places if place not in replaced]
        self._put(model)
        return model, [place.model for place in replaced]

    def _make(self, folder: Path) -> LoadedModel:
        try:
            return self._start(self._load(folder), folder)
        except (BundleError, StartupError):
            raise
        except Exception as error:
            # The boundary: whatever a graph raises in its first forward passes is a fault of the bundle.
            _logger.exception("a forward pass of a new model failed")
            raise BundleError(f"{folder}: a forward pass failed ({error})") from error

    def _replaced_by(self, bundle: FoundBundle) -> list[_Place]:
        """What came from the same folder, or has the same name and version."""
        return [
            place
            for place in self._places
            if place.model.folder == bundle.folder or place.model.identity[:2] == (bundle.name, bundle.version)
        ]

    def _put(self, model: LoadedModel) -> None:
        def order(place: _Place) -> tuple[object, ...]:
            return place.model.identity.name, version_order(place.model.identity.version)

        self._places = sorted([*self._places, _Place(model)], key=order)
        self._metrics.model_loaded(*model.identity, model.provider)
        _logger.info("serving %s %s", model.identity.name, model.identity.version)

    def _take_out(self, leaving: list[_Place]) -> None:
        self._refuse_to_lose_default(leaving)
        self._retire(leaving)
        self._places = [place for place in self._places if place not in leaving]

    def _refuse_to_lose_default(self, leaving: list[_Place], coming: str | None = None) -> None:
        left = {place.model.identity.name for place in self._places if place not in leaving}
        if coming is not None:
            left.add(coming)
        if not left or (self._default is not None and self._default not in left):
            name = self._default or leaving[0].model.identity.name
            raise Conflict(f"{name} stays: requests that name no model would find none")

    def _retire(self, leaving: list[_Place]) -> None:
        """Close models as soon as nobody uses them; they must be out of `_places` before the next await."""
        for place in leaving:
            self._metrics.model_unloaded(*place.model.identity)
            task = asyncio.create_task(_close_when_unused(place))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)


def _refused(why: str) -> UnusableBundle:
    _logger.warning("a bundle is refused: %s", why)
    return UnusableBundle(why)


async def _close_when_unused(place: _Place) -> None:
    await place.unused.wait()
    model = place.model
    await asyncio.to_thread(model.close)
    name, version, _ = model.identity
    del place, model
    await asyncio.to_thread(give_back_memory)
    _logger.info("%s %s is closed", name, version)

"""The endpoints that change which models are served: for the admin port, or for API keys that may."""

from collections.abc import Sequence

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from service.dynamic_batching import BatcherCondition
from service.errors import Conflict
from service.loaded_model import LoadedModel
from service.model_repository import ModelRepository
from service.paths import REPOSITORY_PATH
from service.problem_details import problem_schema

_UNUSABLE = ("unusable-bundle", "invalid-parameter")


class ServedModel(BaseModel):
    """A model that is served."""

    name: str
    version: str
    sha256: str
    condition: BatcherCondition
    answers_by_default: bool = Field(description="whether it is what requests get that name no model")


class OtherBundle(BaseModel):
    """A bundle in the folder that is not served."""

    name: str
    version: str
    fault: str = Field(description="why it cannot be loaded, as far as its manifest says; empty if nothing is known")


class RepositoryAnswer(BaseModel):
    """The answer of `GET /v1/repository`."""

    served: list[ServedModel]
    not_served: list[OtherBundle]


class ModelVersion(BaseModel):
    """A model that came or went."""

    name: str
    version: str
    sha256: str


class ChangeAnswer(BaseModel):
    """What a change has done."""

    loaded: list[ModelVersion]
    unloaded: list[ModelVersion]


class RefusedBundle(BaseModel):
    """A bundle, or a model, that was left as it was."""

    name: str
    version: str
    why: str


class RescanAnswer(ChangeAnswer):
    """The answer of `POST /v1/repository:rescan`."""

    refused: list[RefusedBundle]


def repository_routes(repository: ModelRepository, workers: int = 1) -> APIRouter:
    """`/v1/repository`: what there is, and how it changes while requests are answered.

    Several processes cannot be changed through one of them: there, each is told by SIGHUP to look at the folder.
    """
    router = APIRouter(tags=["repository"])

    def refuse_change_of_one() -> None:
        if workers > 1:
            raise Conflict(
                f"this is one of {workers} processes that serve the folder: change what lies in it, and send SIGHUP to "
                "the process that started them"
            )

    changes = [Depends(refuse_change_of_one)]

    @router.get(
        REPOSITORY_PATH,
        summary="The models that are served, and the bundles that could be",
        responses=problem_schema("unauthorized", "forbidden", "unusable-bundle"),
    )
    async def listing() -> RepositoryAnswer:
        served = repository.models
        by_default = None if repository.default_name is None else repository.find()
        folders = {model.folder for model in served}
        others = [bundle for bundle in await repository.find_bundles() if bundle.folder not in folders]
        return RepositoryAnswer(
            served=[
                ServedModel(
                    **model.identity._asdict(),
                    condition=model.batcher.condition,
                    answers_by_default=model is by_default,
                )
                for model in served
            ],
            not_served=[OtherBundle(name=one.name, version=one.version, fault=one.fault) for one in others],
        )

    @router.post(
        f"{REPOSITORY_PATH}/{{name}}/load",
        summary="Load a bundle, in place of the one that came from the same folder",
        dependencies=changes,
        responses=problem_schema("unauthorized", "forbidden", "not-found", "conflict", *_UNUSABLE),
    )
    async def load(name: str, version: str | None = None) -> ChangeAnswer:
        """Without a version, the newest. It is verified, warm and compared with its golden images before any request
        sees it; otherwise nothing changes.
        """
        loaded, unloaded = await repository.load(name, version)
        return ChangeAnswer(loaded=_identities([loaded]), unloaded=_identities(unloaded))

    @router.post(
        f"{REPOSITORY_PATH}/{{name}}/unload",
        summary="Take a model, or one version of it, out of service",
        dependencies=changes,
        responses=problem_schema("unauthorized", "forbidden", "not-found", "conflict", "invalid-parameter"),
    )
    async def unload(name: str, version: str | None = None) -> ChangeAnswer:
        """Without a version, all of them. Requests that use it still get their answers."""
        return ChangeAnswer(loaded=[], unloaded=_identities(await repository.unload(name, version)))

    @router.post(
        f"{REPOSITORY_PATH}:rescan",
        summary="Serve what lies in the folder: load what is new or changed, unload what is gone",
        dependencies=changes,
        responses=problem_schema("unauthorized", "forbidden", "conflict", *_UNUSABLE),
    )
    async def rescan() -> RescanAnswer:
        """A bundle that cannot be used is told in `refused`, and what was served in its place still is."""
        found = await repository.rescan()
        return RescanAnswer(
            loaded=_identities(found.loaded),
            unloaded=_identities(found.unloaded),
            refused=[RefusedBundle(**refusal._asdict()) for refusal in found.refused],
        )

    return router


def _identities(models: Sequence[LoadedModel]) -> list[ModelVersion]:
    return [ModelVersion(**model.identity._asdict()) for model in models]

"""What models take and give when others order them, made when first asked for."""

from collections.abc import Iterable
from dataclasses import replace

from request_models.engine_actions import REQUEST_SUBMIT
from request_models.loading import ModelSource
from request_models.model_types import order_types, type_model
from request_models.resolving import resolve
from request_models.schema import ModelDocument
from request_models.step_documents import GroupDocument, ParallelDocument, StepDocument
from request_models.surroundings import Interface, Surroundings
from request_models.value_types import AnyType, ObjectType

_UNKNOWN = ObjectType(others=AnyType())


class Interfaces:
    """The interfaces of some models; it implements `ModelCatalogue`. Outputs of models in a circle are of any type."""

    def __init__(self, sources: Iterable[ModelSource], surroundings: Surroundings) -> None:
        self._sources = {source.model: source for source in sources}
        self._surroundings = replace(surroundings, models=self)
        self._made: dict[str, Interface] = {}
        self._open: set[str] = set()

    @property
    def surroundings(self) -> Surroundings:
        """What a model is compiled against, with these models in it."""
        return self._surroundings

    def names(self) -> list[str]:
        """The names of the models."""
        return sorted(self._sources)

    def interface(self, model: str) -> Interface | None:
        """The interface of a model, None when there is no such model."""
        source = self._sources.get(model)
        if source is None:
            return None
        if model not in self._made:
            inputs = order_types(source.document.inputs)
            if model in self._open:
                return Interface(inputs, _UNKNOWN)
            self._open.add(model)
            outputs = self._outputs(source)
            self._open.discard(model)
            self._made[model] = Interface(inputs, outputs, frozenset(orders_of(source.document)))
        return self._made[model]

    def _outputs(self, source: ModelSource) -> ObjectType:
        if not source.document.outputs:
            return ObjectType()
        return type_model(resolve(source, self._surroundings)).output_types()


def orders_of(document: ModelDocument) -> set[str]:
    """The models that a model's steps order, as far as they are named outright."""
    found: set[str] = set()
    waiting: list[StepDocument | GroupDocument | ParallelDocument] = [*document.steps]
    while waiting:
        match waiting.pop():
            case StepDocument(uses=uses, arguments=arguments):
                model = arguments.get("model")
                if uses == REQUEST_SUBMIT and isinstance(model, str):
                    found.add(model)
            case GroupDocument(steps=steps, alternative=alternative):
                waiting += [*steps, *alternative]
            case ParallelDocument(parallel=branches):
                waiting += branches
    return found

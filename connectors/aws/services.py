"""What AWS offers: services and their operations, read from botocore's service models without making a client."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from botocore import xform_name
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from connectors.aws.shapes import ShapeTypes

SERVICES_KEPT = 48
"""Models held in memory at once. All 439 would take more than a gigabyte; a process uses a few."""


@dataclass(frozen=True)
class Service:
    """One service. `operations` maps action names (`create_bucket`) to AWS's names (`CreateBucket`)."""

    name: str
    model: ServiceModel
    pageable: frozenset[str]
    """AWS names of the operations whose pages botocore can gather."""

    @cached_property
    def operations(self) -> Mapping[str, str]:
        return {xform_name(name): name for name in self.model.operation_names}

    @cached_property
    def types(self) -> ShapeTypes:
        return ShapeTypes(self.name)

    def operation(self, name: str) -> OperationModel | None:
        """The model of `create_bucket`, None when the service has no such operation."""
        aws_name = self.operations.get(name)
        return None if aws_name is None else self.model.operation_model(aws_name)


class Services:
    """All services botocore knows, loaded when asked for; the ones used last are kept. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, Service] = OrderedDict()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names as botocore and the AWS CLI write them, hyphens and all (`s3`, `application-autoscaling`)."""
        return tuple(Loader().list_available_services("service-2"))

    def get(self, name: str) -> Service | None:
        """One service, None when there is none of that name."""
        if name not in self.names:
            return None
        with self._lock:
            service = self._loaded.get(name)
            if service is None:
                service = self._loaded[name] = _load(name)
            self._loaded.move_to_end(name)
            while len(self._loaded) > SERVICES_KEPT:
                self._loaded.popitem(last=False)
            return service

    def all(self) -> Iterator[Service]:
        """Every service, one after the other; takes seconds."""
        for name in self.names:
            service = self.get(name)
            if service is not None:
                yield service


class _OneServiceLoader(Loader):  # type: ignore[misc]  # botocore has no types
    """Reads the models of one service; botocore's own would look through the folders of all services first.

    Each service gets its own, for loaders never forget what they read.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def list_available_services(self, type_name: str) -> list[str]:
        """The one service, whatever the type; a type it lacks is found missing when its file is looked for."""
        return [self._service]


def _load(name: str) -> Service:
    loader = _OneServiceLoader(name)
    model = ServiceModel(loader.load_service_model(name, "service-2"), name)
    try:
        pagination = loader.load_service_model(name, "paginators-1").get("pagination", {})
    except DataNotFoundError:
        pagination = {}
    return Service(name, model, frozenset(pagination))

"""An engine that manages a Docker Swarm: machines, services, their tasks and secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from registry_tool.deployers.engine import Document, Engine, document_or_none

_LOG_SECONDS = 5.0
"""How long a log may be silent before it is taken as it is."""
_HEADER = 8


class SwarmEngine(Engine):
    """See `Engine`."""

    def nodes(self) -> list[Document]:
        """The machines of the Swarm."""
        with self._translated("listing the nodes"):
            return list(self._api.nodes())

    def services(self, labels: Sequence[str]) -> list[Document]:
        """Services with all these labels."""
        with self._translated("listing services"):
            return list(self._api.services(filters={"label": list(labels)}))

    def service(self, name: str) -> Document | None:
        """The service by name or id."""
        with self._translated(f"looking at the service {name}"):
            return document_or_none(self._found(self._api.inspect_service, name))

    def create_service(self, spec: Document) -> str:
        """Create a service; its id. Nodes get this client's credentials for the image's registry."""
        with self._translated(f"creating the service {spec['Name']}"):
            return str(self._api.create_service(**_service_arguments(spec))["ID"])

    def update_service(self, service: str, version: int, spec: Document) -> None:
        """Update a service that still has `version`."""
        with self._translated(f"updating the service {spec['Name']}"):
            self._api.update_service(service, version, **_service_arguments(spec))

    def remove_service(self, service: str) -> None:
        """Remove it; nothing happens when it is gone."""
        with self._translated(f"removing the service {service}"):
            self._found(self._api.remove_service, service)

    def tasks(self, service: str) -> list[Document]:
        """The tasks of a service, past ones too."""
        with self._translated(f"listing the tasks of {service}"):
            return list(self._api.tasks(filters={"service": service}))

    def task_logs(self, service: str, task: str, lines: int) -> str:
        """The end of what one task of a service wrote, as far as its machine tells."""
        with self._translated(f"reading the log of {service}"):
            # Not with the SDK's own method, which has no limit of time: for a task whose container is gone, a manager
            # may wait for a word from its machine for ever.
            path = self._api._url("/services/{0}/logs", service)
            data = self._as_far_as_it_comes(
                path, {"details": 1, "stdout": 1, "stderr": 1, "tail": lines}, _LOG_SECONDS
            )
            text = b"".join(_frames(data)).decode(errors="replace")
        # Each line begins with where it is from, as name=value,name=value.
        found = (line.partition(" ") for line in text.splitlines())
        return "\n".join(line for details, _, line in found if f"task.id={task}" in details)

    def secrets(self, labels: Sequence[str]) -> list[Document]:
        """Secrets with all these labels; never their values."""
        with self._translated("listing secrets"):
            return list(self._api.secrets(filters={"label": list(labels)}))

    def create_secret(self, name: str, value: bytes, labels: Mapping[str, str]) -> str:
        """Create a secret; its id."""
        with self._translated(f"creating the secret {name}"):
            return str(self._api.create_secret(name, value, labels=dict(labels))["ID"])

    def remove_secret(self, secret: str) -> None:
        """Remove it; nothing happens when it is gone."""
        with self._translated(f"removing the secret {secret}"):
            self._found(self._api.remove_secret, secret)


def _frames(data: bytes) -> Iterator[bytes]:
    """What was written, without the eight bytes before each piece: the stream, and the size in the last four."""
    while len(data) > _HEADER:
        size = int.from_bytes(data[4:_HEADER], "big")
        yield data[_HEADER : _HEADER + size]
        data = data[_HEADER + size :]


def _service_arguments(spec: Document) -> Document:
    """A ServiceSpec as the SDK's arguments; it adds the registry's credentials on its own."""
    return {
        "task_template": spec["TaskTemplate"],
        "name": spec["Name"],
        "labels": spec["Labels"],
        "mode": spec["Mode"],
        "update_config": spec.get("UpdateConfig"),
        "rollback_config": spec.get("RollbackConfig"),
        "endpoint_spec": spec.get("EndpointSpec"),
    }

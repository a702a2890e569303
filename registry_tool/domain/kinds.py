"""All kinds in one table: which types there are and where their files live by convention."""

from __future__ import annotations

from registry_tool.domain.api_key import ApiKey
from registry_tool.domain.build_template import BuildTemplate
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.environment import Environment
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.model import Model
from registry_tool.domain.records import Build, DeploymentRecord, Request
from registry_tool.domain.registry import Registry
from registry_tool.domain.release import ArtifactLock, Release

AnyManifest = (
    Registry | Model | Release | ArtifactLock | Environment | Deployment | ApiKey | BuildTemplate
)
AnyRecord = Build | DeploymentRecord | Request

MANIFEST_KINDS: dict[str, type[Manifest]] = {
    "Registry": Registry,
    "Model": Model,
    "Release": Release,
    "ArtifactLock": ArtifactLock,
    "Environment": Environment,
    "Deployment": Deployment,
    "ApiKey": ApiKey,
    "BuildTemplate": BuildTemplate,
}
RECORD_KINDS: dict[str, type[Manifest]] = {
    "Build": Build,
    "DeploymentRecord": DeploymentRecord,
    "Request": Request,
}

MANIFESTS_FOLDER = "manifests"
TEMPLATES_FOLDER = "build_templates"
SCHEMAS_FOLDER = "schemas"


def conventional_path(manifest: AnyManifest) -> str:
    """Where the file of a manifest belongs. Identity never depends on it."""
    match manifest:
        case Registry():
            return "manifests/registry.yaml"
        case Model():
            return f"manifests/models/{manifest.metadata.name}.yaml"
        case Release():
            return f"manifests/releases/{manifest.id}.yaml"
        case ArtifactLock():
            return f"manifests/releases/{manifest.id}.lock.yaml"
        case Environment():
            return f"manifests/environments/{manifest.metadata.name}.yaml"
        case Deployment():
            return f"manifests/deployments/{manifest.id}.yaml"
        case ApiKey():
            return f"manifests/api-keys/{manifest.metadata.name}.yaml"
        case BuildTemplate():
            return f"build_templates/{manifest.metadata.name}/template.yaml"

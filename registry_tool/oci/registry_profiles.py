"""What registries need to be known about beforehand, because they do not say it themselves.

The limits are those that the services document or were seen to have; docs/registries.md lists the
sources. A registry that is not listed is taken to do what the OCI distribution specification says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_tool.errors import UsageProblem

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class RegistryProfile:
    """How blobs are brought to a kind of registry, and what it refuses."""

    name: str
    hosts: str = ""
    """A regular expression for the whole host name, without port."""
    chunk: int | None = None
    """Larger blobs are sent in PATCH requests of this many bytes; None sends each in one PUT."""
    max_put: int | None = None
    """The most that one PUT may carry; more goes in chunks of `chunk`, or of half of it."""
    max_layer: int | None = None
    """Bytes of the largest layer."""
    max_layers: int | None = None
    """Layers of an image."""
    resumes: bool = True
    """Whether a broken upload of a blob can go on where it stopped."""
    create_help: str | None = None
    """What to do when a repository does not exist, where pushing does not create it."""

    def chunk_for(self, size: int) -> int | None:
        """Bytes of each request for a blob of this size; None for a single PUT."""
        if self.max_put is not None:
            return (self.chunk or self.max_put // 2) if size > self.max_put else None
        return self.chunk if self.chunk is not None and size > self.chunk else None


DEFAULT = RegistryProfile("default")

PROFILES: tuple[RegistryProfile, ...] = (
    # A PATCH of more than 4 MiB is answered with 416, so blobs go in one PUT.
    RegistryProfile("ghcr", hosts=r"ghcr\.io", max_layer=10_000_000_000, resumes=False),
    # Uploads in chunks are not supported.
    RegistryProfile(
        "google",
        hosts=r"(.+\.)?gcr\.io|.+\.pkg\.dev",
        resumes=False,
        create_help="create the repository in Artifact Registry first",
    ),
    # Chunks after the first are answered with 201 and dropped.
    RegistryProfile(
        "ecr",
        hosts=r".+\.dkr[.-]ecr(-fips)?\..+\.(amazonaws\.com(\.cn)?|on\.aws)",
        max_layer=52_000 * MIB,
        max_layers=500,
        resumes=False,
        create_help="create it first (aws ecr create-repository --repository-name NAME), or a"
        " repository creation template for pushes",
    ),
    RegistryProfile(
        "ecr-public",
        hosts=r"public\.ecr\.aws",
        max_layer=10_000 * MIB,
        max_layers=500,
        resumes=False,
        create_help="create it first: aws ecr-public create-repository --repository-name NAME",
    ),
    # A body of more than about 20 MB is answered with 413.
    RegistryProfile("azure", hosts=r".+\.azurecr\.(io|cn|us)", chunk=16 * MIB),
    RegistryProfile("quay", hosts=r"quay\.io", max_put=20_000_000_000, chunk=5_000_000_000),
    # Only by name: for registries behind something that limits the size of a request.
    RegistryProfile("chunked", chunk=64 * MIB),
    DEFAULT,
)


def profile_for(host: str, chosen: str | None = None) -> RegistryProfile:
    """The profile of a registry's host (which may have a port), or the one that is `chosen`."""
    if chosen is not None:
        return _named(chosen)
    name = re.sub(r":[0-9]+$", "", host).lower()
    for profile in PROFILES:
        if profile.hosts and re.fullmatch(profile.hosts, name):
            return profile
    return DEFAULT


def _named(name: str) -> RegistryProfile:
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in PROFILES)
    raise UsageProblem(f'there is no registry profile "{name}"', help=f"the profiles are: {known}")

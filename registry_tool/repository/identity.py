"""Who works with a repository, as Git would write it into a commit."""

from __future__ import annotations

import re

from registry_tool.domain.records import Person
from registry_tool.errors import RepositoryProblem
from registry_tool.repository.repository import Repository

_IDENT = re.compile(r"(?P<name>.*) <(?P<email>[^<>]*)> [0-9]+ [+-][0-9]{4}")


def author(repository: Repository) -> Person:
    """The author of the next commit here. Raises RepositoryProblem when Git knows nobody."""
    found = repository.command.run_as_operator("var", "GIT_AUTHOR_IDENT").text
    match = _IDENT.fullmatch(found)
    if match is None:
        raise RepositoryProblem(f"Git gives an odd identity: {found}", code="RT605")
    return Person(name=match["name"], email=match["email"])

"""What a rendered Dockerfile may do: nothing that its build key would not know of.

Every image that a Dockerfile takes from is pinned by digest, nothing is downloaded without a
checksum, and no build mount needs a session with the machine that asked for the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry_tool.builders.template_problem import TemplateFault

_SESSION_MOUNT = re.compile(r"--mount=\S*\btype=[\"']?(secret|ssh)\b", re.IGNORECASE)
_FROM_OPTION = re.compile(r"(?:--from=|--mount=\S*?\bfrom=)[\"']?([^\s,\"']+)", re.IGNORECASE)
_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_FROM = re.compile(r"(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?")
_REMOTE = re.compile(r"\s(?:https?|ftp)://|\sgit@|\.git(?:#|\s|$)", re.IGNORECASE)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, name and arguments of each instruction; continued lines are joined."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while whole.endswith("\\"):
            _, more = next(lines, (0, ""))
            comment = more.lstrip().startswith("#")
            whole = whole[:-1] + (" \\" if comment else " " + more)
        for word in _HEREDOC.findall(whole):
            for _, content in lines:
                if content.strip() == word:
                    break
        name, _, arguments = whole.strip().partition(" ")
        yield number, name.upper(), " " + arguments.strip()


def _unpinned(number: int, image: str) -> TemplateFault:
    return TemplateFault(
        "RT405",
        f'line {number}: the image "{image}" is not pinned by digest',
        "declare it in spec.dockerfile.bases and write {{ bases.<name> }}",
    )


def _refused(number: int, what: str, help: str) -> TemplateFault:
    return TemplateFault("RT407", f"line {number}: {what}", help)


def faults(text: str) -> Iterator[TemplateFault]:
    """Everything in a rendered Dockerfile that is not allowed, in order of lines."""
    for number, line in enumerate(text.splitlines(), start=1):
        directive = re.match(r"#\s*(syntax|escape)\s*=", line)
        if not directive:
            break
        yield _refused(
            number,
            f'the directive "{directive[1]}" is not allowed',
            "an engine's own Dockerfile syntax is used, with its usual escape character",
        )
    stages = {"scratch"}
    for number, name, arguments in _instructions(text):
        if name == "FROM":
            found = _FROM.fullmatch(arguments.strip())
            if not found or not (found[1].lower() in stages or _PINNED.fullmatch(found[1])):
                yield _unpinned(number, found[1] if found else arguments.strip())
            if found and found[2]:
                stages.add(found[2].lower())
        yield from _option_faults(number, name, arguments, stages)


def pinned_images(text: str) -> list[str]:
    """The images that a Dockerfile without faults takes from, each once; stages and scratch are none."""
    found: dict[str, None] = {}
    for _, name, arguments in _instructions(text):
        taken = (
            [match[1]] if name == "FROM" and (match := _FROM.fullmatch(arguments.strip())) else []
        )
        taken += _FROM_OPTION.findall(arguments)
        found |= dict.fromkeys(image for image in taken if _PINNED.fullmatch(image))
    return list(found)


def _option_faults(
    number: int, name: str, arguments: str, stages: set[str]
) -> Iterator[TemplateFault]:
    mount = _SESSION_MOUNT.search(arguments)
    if name in {"RUN", "ONBUILD"} and mount:
        yield _refused(
            number,
            f"--mount=type={mount[1].lower()} is not supported",
            "a build must not depend on secrets; fetch private files with `registry-tool lock`",
        )
    if name in {"COPY", "RUN", "ADD", "ONBUILD"}:
        for image in _FROM_OPTION.findall(arguments):
            if not (image.lower() in stages or image.isdigit() or _PINNED.fullmatch(image)):
                yield _unpinned(number, image)
    if name == "ADD" and _REMOTE.search(arguments) and "--checksum=" not in arguments:
        yield _refused(
            number, "ADD downloads a file without a checksum", "add --checksum=sha256:… to it"
        )

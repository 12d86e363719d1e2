"""What a Dockerfile must be like. `problems` returns a line for whatever is wrong, none when all is well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


PINNED: Final = r"[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?"
NOT_ROOT: Final = r"[1-9]\d*(:[1-9]\d*)?"


def problems(text: str, context: Path) -> list[str]:
    """Look at a Dockerfile's text; `context` is the folder that it copies from."""
    lines = _instructions(text)
    return [
        *_base_problems(lines), *_user_problems(lines), *_install_problems(lines),
        *_copy_problems(lines, context), *_address_problems(lines),
    ]


def _instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, rest), continued lines put together."""
    whole = re.sub(r"\\\n\s*", " ", text)
    kept = (line for line in whole.splitlines() if line.strip() and not line.startswith("#"))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in kept]


def _base_problems(lines: list[tuple[str, str]]) -> list[str]:
    arguments = dict(rest.split("=", 1) for word, rest in lines if word == "ARG" and "=" in rest)
    stages = {rest.rpartition(" AS ")[2] for word, rest in lines if word == "FROM" and " AS " in rest}
    found = []
    for word, rest in lines:
        image = re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], ""), rest.partition(" AS ")[0])
        if word == "FROM" and image not in stages and not re.fullmatch(PINNED, image):
            found.append(f"FROM {image} is not pinned to a version")
    return found if stages else [*found, "one stage only: what builds would be shipped"]


def _user_problems(lines: list[tuple[str, str]]) -> list[str]:
    """The last stage ends as somebody who is not root, by number, so that an engine can check it."""
    last = max(index for index, (word, _) in enumerate(lines) if word == "FROM")
    users = [rest for word, rest in lines[last:] if word == "USER"]
    if not users:
        return ["runs as root: no USER in the last stage"]
    is_plain = re.fullmatch(NOT_ROOT, users[-1])
    return [] if is_plain else [f"USER {users[-1]}: give a number above 0"]


def _install_problems(lines: list[tuple[str, str]]) -> list[str]:
    """Everything that pip installs has its version from constraints.txt."""
    return [
        f"RUN {rest}: pip without --constraint constraints.txt"
        for word, rest in lines
        if word == "RUN" and "pip install" in rest and "--constraint constraints.txt" not in rest
    ]


def _copy_problems(lines: list[tuple[str, str]], context: Path) -> list[str]:
    found = []
    for word, rest in lines:
        if word == "ADD":
            found.append(f"ADD {rest}: COPY does what is meant")
        if word == "COPY" and not rest.startswith("--from="):
            sources = rest.split()[:-1]
            gone = [each for each in sources if not (context / each).exists()]
            found += [f"COPY {each}: there is no such thing" for each in gone]
            found += [f"COPY {each}: name what is needed" for each in sources if each in {".", "./"}]
    return found


def _address_problems(lines: list[tuple[str, str]]) -> list[str]:
    return [f"{word} {rest}: an address" for word, rest in lines if "://" in rest]


def ignored_problems(text: str, ignore: str) -> list[str]:
    """All that is copied is let through by the .dockerignore, which begins by keeping everything out."""
    rules = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    if rules[:1] != ["*"]:
        return ["the first rule is not *"]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, rest in _instructions(text) if word == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    return [f"{source} is copied and kept out" for source in sorted(copied - let_in)] + [
        f"{source} is let in and not copied" for source in sorted(let_in - copied)
    ]

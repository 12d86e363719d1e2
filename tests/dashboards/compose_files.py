"""Reads the compose files of docker/, put together as `docker compose -f ... -f ...` does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "docker"
KEYED_LISTS: Final = {"volumes": 1, "ports": 0}
"""Lists that are put together, and the place between colons that tells two entries apart; 0 for all."""


class _Override(dict[str, Any]):
    """A mapping tagged `!override`: it takes the place of the one below it."""


class _Loader(yaml.SafeLoader):
    """Safe, knows `!override`, and takes no key twice: the first value would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        # Merging (`<<`) puts the merged keys into the node before its own, which come again.
        if twice and not hasattr(node, "flattened"):
            raise yaml.constructor.ConstructorError(None, None, f"{sorted(twice)} twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        node.flattened = True
        super().flatten_mapping(node)


def _override(loader: _Loader, node: yaml.MappingNode) -> _Override:
    return _Override(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("!override", _override)


@dataclass(frozen=True)
class Stack:
    """What one `docker compose up` starts.

    Attributes:
        name: for messages.
        folder: what relative paths begin at.
        content: the compose files put together.
    """

    name: str
    folder: Path
    content: dict[str, Any]

    @property
    def services(self) -> dict[str, Any]:
        """The services by name."""
        return dict(self.content["services"])

    def names(self) -> dict[str, list[str]]:
        """Return which services answer to each host name: their own names and their aliases."""
        found: dict[str, list[str]] = {name: [name] for name in self.services}
        for name, service in self.services.items():
            for network in (service.get("networks") or {}).values():
                for alias in (network or {}).get("aliases", ()):
                    found.setdefault(alias, []).append(name)
        return found

    def mounted(self, service: str, target: str) -> Path:
        """Return the file of the repository that a service sees at a path."""
        for source, path, _ in binds(self.services[service]):
            if path == target:
                return (self.folder / source).resolve()
            if target.startswith(path + "/"):
                return (self.folder / source / target.removeprefix(path + "/")).resolve()
        raise LookupError(f"{service} has nothing mounted at {target}")


def load(path: Path) -> Any:
    """Return a YAML file's content."""
    return yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader with one tag more


def read(name: str, *files: str) -> Stack:
    """Return the stack that some files of docker/ make, the later ones on top."""
    content: dict[str, Any] = {}
    for file in files:
        content = merged(content, load(DOCKER / file))
    return Stack(name, DOCKER, content)


def both() -> tuple[Stack, Stack]:
    """Return the stack of `make stack`, and the one of `make stack SCALE=yes`."""
    return read("compose", "compose.yaml"), read("scale", "compose.yaml", "scale.yaml")


def merged(below: Any, above: Any, key: str = "") -> Any:
    """Return two values of a compose file put together, the second on top."""
    if isinstance(above, _Override) or not isinstance(below, type(above)):
        return dict(above) if isinstance(above, dict) else above
    if isinstance(above, dict):
        both_keys = {**below, **above}
        return {
            each: merged(below[each], above[each], each) if each in below and each in above else value
            for each, value in both_keys.items()
        }
    if isinstance(above, list) and key in KEYED_LISTS:
        place = KEYED_LISTS[key]
        by_key = {(entry.split(":")[place] if place else entry): entry for entry in [*below, *above]}
        return list(by_key.values())
    return above


def binds(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (source, target, mode) of each mount of a file or folder of the repository."""
    entries = [entry.split(":") for entry in service.get("volumes", ())]
    return [(parts[0], parts[1], ":".join(parts[2:])) for parts in entries if parts[0].startswith(".")]


def named_volumes(service: dict[str, Any]) -> list[str]:
    """Return the names of the volumes that a service stores things in."""
    return [entry.split(":")[0] for entry in service.get("volumes", ()) if not entry.startswith(".")]


def texts(value: Any) -> list[str]:
    """Return every text in a value, keys left out."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []

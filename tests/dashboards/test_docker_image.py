"""The Dockerfile of the example services; each check is shown to fail on a broken copy."""

from __future__ import annotations

import subprocess

import pytest

from tests.dashboards import image_checks as checks
from tests.dashboards.compose_files import DOCKER, ROOT, both

DOCKERFILE = (DOCKER / "Dockerfile").read_text()
IGNORE = (DOCKER / "Dockerfile.dockerignore").read_text()


def test_the_dockerfile_passes():
    assert checks.problems(DOCKERFILE, ROOT) == []
    assert checks.ignored_problems(DOCKERFILE, IGNORE) == []


@pytest.mark.parametrize(("old", "new", "said"), [
    ("3.11.14-slim-bookworm", "latest", "python:latest is not pinned"),
    ("3.11.14-slim-bookworm", "3.11-slim", "python:3.11-slim is not pinned"),
    ("USER 10001:10001\n", "", "runs as root"),
    ("USER 10001:10001", "USER root", "USER root"),
    ("USER 10001:10001", "USER 0:0", "USER 0:0"),
    ("--constraint constraints.txt hatchling", "hatchling", "pip without --constraint"),
    ("COPY tracedrpc tracedrpc", "COPY tracedrpc2 tracedrpc", "there is no such thing"),
    ("COPY tracedrpc tracedrpc", "COPY . .", "name what is needed"),
    ("COPY tracedrpc tracedrpc", "ADD tracedrpc tracedrpc", "COPY does what is meant"),
    ("hatchling", "--index-url http://example.test/simple hatchling", "an address"),
])
def test_a_broken_dockerfile_is_found(old, new, said):
    assert old in DOCKERFILE
    assert any(said in problem for problem in checks.problems(DOCKERFILE.replace(old, new), ROOT))


def test_a_single_stage_is_found():
    text = "FROM python:3.11.14\nUSER 1\n"
    assert checks.problems(text, ROOT) == ["one stage only: what builds would be shipped"]


@pytest.mark.parametrize(("old", "new", "said"), [
    ("!tracedrpc\n", "", "tracedrpc is copied and kept out"),
    ("!README.md\n", "!README.md\n!.env\n", ".env is let in and not copied"),
    ("*\n", "", "the first rule is not *"),
])
def test_a_broken_dockerignore_is_found(old, new, said):
    assert checks.ignored_problems(DOCKERFILE, IGNORE.replace(old, new, 1)) == [said]


def test_the_image_has_the_version_of_the_project():
    version = (ROOT / "pyproject.toml").read_text().partition('\nversion = "')[2].partition('"')[0]
    stack, _ = both()
    assert stack.services["api"]["image"] == f"tracedrpc-example:{version}"


def test_what_was_generated_for_one_machine_is_not_committed():
    listed = subprocess.run(
        ["git", "ls-files", "docker"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=30,
    )
    assert "docker/.env" not in listed.stdout.split()
    assert "docker/.env" in (ROOT / ".gitignore").read_text().split()

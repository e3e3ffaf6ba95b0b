"""One version in one place, and a release check that notices what is wrong."""

import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest
import release_check
import yaml

from service import __version__
from tests.deploy.programs import REPOSITORY


def test_the_version_stands_in_one_place_and_the_changelog_knows_it() -> None:
    assert release_check.agreed_version(REPOSITORY) == __version__
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"] == {"path": "service/__init__.py"}


def test_a_version_without_its_heading_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text('__version__ = "9.9.9"\n', encoding="utf-8")
    shutil.copy(REPOSITORY / "CHANGELOG.md", tmp_path)
    with pytest.raises(release_check.CheckError, match=r"CHANGELOG\.md: expected a heading \[9\.9\.9\], found none"):
        release_check.agreed_version(tmp_path)


def test_an_incomplete_wheel_is_noticed(tmp_path: Path) -> None:
    wheel, sdist = tmp_path / "focalpoint-1-py3-none-any.whl", tmp_path / "focalpoint-1.tar.gz"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("service/server.py", "")
    shutil.make_archive(str(tmp_path / "focalpoint-1"), "gztar", REPOSITORY / ".ci")
    with pytest.raises(release_check.CheckError, match=r"service/py\.typed"):
        release_check.check_contents(wheel, sdist, "1")


@pytest.mark.parametrize("answer", ['{"instances": []}', '{"instances": [{"keypoints": [{}]}]}'])
def test_an_answer_without_the_keypoints_is_noticed(answer: str) -> None:
    with pytest.raises(release_check.CheckError, match="serve: expected one face with 68 keypoints"):
        release_check.check_answer(answer, "serve")


def test_the_issue_forms_ask_for_something() -> None:
    forms = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))
    assert [path.stem for path in forms] == ["bug_report", "feature_request"]
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert form["name"]
        assert form["description"]
        questions = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in questions}) == len(questions)
        assert any(part.get("validations", {}).get("required") for part in questions)


def test_the_hooks_are_the_checks() -> None:
    configuration = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = {hook["entry"] for repository in configuration["repos"] for hook in repository["hooks"]}
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    check = makefile[makefile.index("\ncheck:") : makefile.index("\nformat:")]
    for tool in ("ruff check", "ruff format --check", "mypy"):
        assert f".venv-dev/bin/{tool}" in check
        assert any(entry.startswith(f".venv-dev/bin/{tool}") for entry in entries)

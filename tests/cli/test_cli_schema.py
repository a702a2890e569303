import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_written_schemas_are_up_to_date_and_checked(anywhere, tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    assert anywhere("schema", "--check", folder).code == 1
    assert anywhere("schema", "--write", folder).code == 0
    assert anywhere("schema", "--check", folder).code == 0
    (folder / "model.json").write_text("{}")
    (folder / "extra.json").write_text("{}")
    ran = anywhere("schema", "--check", folder)
    assert ran.code == 1
    assert ran.out == f"out of date: {folder}/model.json\nof no kind: {folder}/extra.json\n"
    assert "schema --write" in ran.err
    ran = anywhere("schema", "--write", folder)
    assert f"updated {folder}/model.json\n" in ran.out
    assert f"unchanged {folder}/release.json\n" in ran.out


@pytest.mark.parametrize("kind", ["Model", "model", "ArtifactLock"])
def test_one_kind_is_printed(anywhere, kind: str) -> None:
    schema = json.loads(anywhere("schema", kind).out)
    assert "$schema" in schema


def test_all_kinds_are_printed_as_one_document(anywhere) -> None:
    assert set(json.loads(anywhere("schema").out)) >= {"model.json", "release.json"}


def test_an_unknown_kind_gets_a_suggestion(anywhere) -> None:
    ran = anywhere("schema", "Modle")
    assert ran.code == 2
    assert 'did you mean "model"?' in ran.err


def test_check_and_write_exclude_each_other(anywhere, tmp_path: Path) -> None:
    assert anywhere("schema", "--check", tmp_path, "--write", tmp_path).code == 2


def test_a_folder_that_cannot_be_written_is_an_environment_problem(anywhere, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    assert anywhere("schema", "--write", tmp_path / "file" / "schemas").code == 3

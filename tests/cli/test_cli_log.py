import shutil

import pytest
from registries import RegistryFolder


def build_of(cli):
    (build,) = cli("list", "builds", "--format", "json").json["items"]
    return build


def test_the_log_is_found_by_key_release_and_reference(cli, applied: RegistryFolder) -> None:
    build = build_of(cli)
    log = cli("log", "minilm/1.0.0")
    assert log.code == 0
    assert log.out
    names = [
        "release/minilm/1.0.0/none",
        build["key"],
        build["key"][:6],
        build["log"],
        build["log"].rpartition(":")[2],
    ]
    assert {cli("log", name).out for name in names} == {log.out}


@pytest.mark.parametrize(
    "name", ["abcdef", "minilm:log-000000000000-000001", "minilm/2.0.0", "x y"]
)
def test_unknown_builds(cli, applied: RegistryFolder, name: str) -> None:
    ran = cli("log", name)
    assert ran.code in {2, 3}
    assert "help: " in ran.err


def test_a_failed_build_whose_log_is_gone_shows_the_end_from_its_record(
    cli, applied: RegistryFolder
) -> None:
    (applied.storage / "minilm/model.bin").write_bytes(b"changed under the lock")
    applied.release("minilm", "1.1.0")
    applied.commit()
    (applied.storage / "minilm/model.bin").write_bytes(b"changed again!")
    assert cli("apply").code == 1
    full = cli("log", "minilm/1.1.0")
    assert "model.bin" in full.out
    shutil.rmtree(applied.path / ".git/registry-tool/store")
    short = cli("log", "minilm/1.1.0")
    assert short.code == 0
    assert "from the record" in short.err
    assert "model.bin" in short.out


def test_a_lost_log_without_an_error_is_a_store_problem(cli, applied: RegistryFolder) -> None:
    shutil.rmtree(applied.path / ".git/registry-tool/store")
    assert cli("log", "minilm/1.0.0").code == 3


def test_a_key_prefix_of_two_builds_is_ambiguous() -> None:
    from registry_tool.cli.commands.log import _find
    from registry_tool.domain.recorded import Recorded, Sequenced
    from registry_tool.domain.records import Build
    from registry_tool.domain.subjects import ReleaseId
    from registry_tool.errors import UsageProblem

    def build(version: str, key: str) -> Sequenced[Build]:
        spec = {
            "model": "m",
            "version": version,
            "quantization": "none",
            "key": key,
            "key_parts": {},
            "revision": "main@sha1:" + "0" * 40,
            "store": "embedded",
            "builder": "native",
            "timings": {
                "started_at": "2026-01-01T00:00:00Z",
                "finished_at": "2026-01-01T00:00:00Z",
            },
            "result": "succeeded",
        }
        import json

        text = json.dumps({"apiVersion": "registry-tool/v1", "kind": "Build", "spec": spec})
        return Sequenced(1, Build.model_validate_json(text))

    recorded = Recorded(
        builds={
            ReleaseId("m", "1.0.0"): [build("1.0.0", "abcd1" + "0" * 59)],
            ReleaseId("m", "2.0.0"): [build("2.0.0", "abcd2" + "0" * 59)],
        }
    )
    with pytest.raises(UsageProblem, match="begins 2 build keys"):
        _find(recorded, "abcd")
    found = _find(recorded, "abcd2")
    assert found is not None
    assert found.record.spec.version == "2.0.0"

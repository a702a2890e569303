import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(anywhere, shell: str) -> None:
    ran = anywhere("completion", shell)
    assert ran.code == 0
    assert "_REGISTRY_TOOL_COMPLETE" in ran.out


def test_the_users_shell_is_the_default(anywhere, monkeypatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert anywhere("completion").out == anywhere("completion", "fish").out


def test_an_unknown_shell_is_refused_with_the_known_ones(anywhere, monkeypatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    ran = anywhere("completion")
    assert ran.code == 2
    assert "bash, zsh, fish" in ran.err


def test_commands_are_completed(monkeypatch, capsys) -> None:
    from registry_tool.cli.main import main

    monkeypatch.setenv("_REGISTRY_TOOL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "registry-tool val")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        main([])
    assert "plain,validate" in capsys.readouterr().out

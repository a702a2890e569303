from registry_tool.cli.formats import plan_markdown, plan_text
from registry_tool.domain.plan import Action, Plan, Skipped
from registry_tool.domain.records import BytesMoved

HEAD, BASE, KEY = "a" * 40, "b" * 40, "c" * 64


def build(subject: str, reason: str = "not built in this store") -> Action:
    return Action(
        kind="build",
        subject=subject,
        change="create",
        reason=reason,
        key=KEY,
        bytes=BytesMoved(upload=90_900_000, reuse=512),
    )


def sample() -> Plan:
    return Plan.of(
        HEAD,
        BASE,
        [
            build("release/minilm/1.0.0/none"),
            Action(
                kind="deploy",
                subject="deployment/staging/search",
                change="update",
                reason="build changed",
                changed=("build",),
                key=KEY,
            ),
            Action(
                kind="undeploy",
                subject="deployment/staging/old",
                change="delete",
                reason="the manifest was deleted",
                key=KEY,
            ),
        ],
        [Skipped(subject="release/minilm/2.0.0/none", reason="not locked")],
    )


def test_text_has_a_legend_reasons_bytes_skips_and_totals() -> None:
    assert plan_text.format_plan(sample(), color=False) == (
        "Manifests aaaaaaaaaaaa, records bbbbbbbbbbbb\n"
        "\n"
        "Legend: + create   ~ update   - delete\n"
        "\n"
        "+ build release/minilm/1.0.0/none\n"
        "    not built in this store\n"
        "    upload 86.7 MiB, reuse 512 B\n"
        "\n"
        "~ deploy deployment/staging/search\n"
        "    build changed\n"
        "\n"
        "- remove deployment/staging/old\n"
        "    the manifest was deleted\n"
        "\n"
        "Skipped:\n"
        "  release/minilm/2.0.0/none: not locked\n"
        "\n"
        "Plan: 1 to build, 1 to deploy, 1 to remove.\n"
    )


def test_text_of_an_empty_plan_says_no_changes() -> None:
    shown = plan_text.format_plan(Plan.of(HEAD, None, [], []), color=False)
    assert (
        shown
        == "Manifests aaaaaaaaaaaa, records none yet\n\nNo changes.\nPlan: 0 to build, 0 to deploy, 0 to remove.\n"
    )


def test_markdown_starts_with_the_totals_and_lists_every_action() -> None:
    shown = plan_markdown.format_plan(sample())
    assert shown.startswith("### Plan: 1 to build, 1 to deploy, 1 to remove.\n")
    assert "86.7 MiB to upload, 512 B reused" in shown
    assert "| `+` | build | `release/minilm/1.0.0/none` | not built in this store<br>" in shown
    assert "| `-` | remove | `deployment/staging/old` | the manifest was deleted |" in shown
    assert "1 skipped" in shown


def test_markdown_stays_below_the_limit_and_says_what_was_left_out() -> None:
    actions = [build(f"release/m{number}/1.0.0/none", "é|" * 400) for number in range(3000)]
    skipped = [
        Skipped(subject=f"release/s{number}/1.0.0/none", reason="x" * 500) for number in range(3000)
    ]
    shown = plan_markdown.format_plan(Plan.of(HEAD, BASE, actions, skipped))
    assert len(shown.encode()) < plan_markdown.LIMIT
    listed = shown.count("| build |")
    assert f"… and {3000 - listed} more actions." in shown
    assert "more skips." in shown
    assert "### Plan: 3000 to build" in shown


def test_markdown_escapes_what_would_become_markup() -> None:
    shown = plan_markdown.format_plan(
        Plan.of(HEAD, BASE, [build("release/m/1.0.0/none", "<img src=x>|[a](b) @team\n# t")], [])
    )
    assert "&lt;img src=x&gt;\\|\\[a\\](b) \\@team\\\\n\\# t" in shown

"""`openrds instance upgrade`: newer versions of an instance's servers."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.instances import IdOrName, Wait
from openrds.cli.session import Session, client_command
from openrds.cli.watch import watch

app = typer.Typer()


@client_command(app, "upgrade")
def upgrade(
    session: Session,
    instance: IdOrName,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="A newer major version; else the newest minor one.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only look what hinders it; without --to, which there are.")
    ] = False,
    delay: Annotated[
        bool, typer.Option("--delay", help="In its maintenance window; for a minor version.")
    ] = False,
    auto: Annotated[
        bool | None,
        typer.Option("--auto/--no-auto", help="Only say whether it gets newer minor versions by itself."),
    ] = None,
    wait: Wait = True,
) -> None:
    """Give an instance a newer version; its servers are restarted. Should that fail, it has the old one again."""
    if delay and (to or check):
        raise UsageError("--delay is for a minor version: leave out --to and --check.")
    if auto is not None and (to or check or delay):
        raise UsageError("--auto and --no-auto go with no other option.")
    path = f"instances/{lookups.find_instance_id(session.client, instance)}"
    if auto is not None:
        answer = session.client.put(f"{path}/db-auto-upgrade", {"switch_option": auto})
        how = "by itself, in its maintenance window" if auto else "when it is asked for"
        session.output.said(answer, f"{instance} gets newer minor versions {how}")
    elif check:
        _check(session, path, to)
    elif to:
        body = {"target_version": to, "is_change_private_ip": True}
        session.finish(session.client.post(f"{path}/major-version/upgrade", body), wait=wait)
    else:
        answer = session.client.post(f"{path}/db-upgrade", {"is_delayed": delay})
        if delay:
            session.output.said(answer, f"scheduled task {answer['job_id']} waits for the maintenance window")
        else:
            session.finish(answer, wait=wait)


def _check(session: Session, path: str, to: str | None) -> None:
    """
    Raises:
        CommandError: something hinders the upgrade.
    """
    client, output = session.client, session.output
    if to is None:
        answer = client.get(f"{path}/major-version/available-version")
        output.rows(answer, ("VERSION",), [(version,) for version in answer["available_versions"]])
        return
    report_id = client.post(f"{path}/major-version/inspection", {"target_version": to})["report_id"]
    watch(client, report_id, output.progress)
    reports = client.get(f"{path}/major-version/inspection-histories", {"limit": 100})["inspection_reports"]
    report = next(one for one in reports if one["id"] == report_id)
    if report["result"] != "success":
        raise CommandError(report["detail"])
    output.said(report, report["detail"])

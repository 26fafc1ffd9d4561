"""Bringing this shoal to the hosts: asked what they are, sent a bundle if they lack it."""

from collections.abc import Sequence

from shoal.hosts.bundle import Bundles
from shoal.hosts.machine import Machine, told
from shoal.hosts.roles import Role
from shoal.hosts.ssh import Hosts, Outcome, Payload, failures, reached
from shoal.protocol.errors import OperatorError

PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
ARCHIVE = "bundle.tar.gz"
REFUSED = 2
GONE = 3  # `use`: another host with the same home has just removed it.


def install(hosts: Hosts, roles: Sequence[Role], python: str | None) -> list[Outcome]:
    """Install shoal on each host, once however many roles it has; where it is already, it stays.

    Args:
        hosts: the way to them.
        roles: whose hosts.
        python: the command for Python on the hosts; None to look for one that will do.
    """
    one_of_each = list({role.host: role for role in reversed(roles)}.values())[::-1]
    words = ["ask", *([python] if python else PYTHONS)]
    asked = hosts.on_each(one_of_each, "asked for its Python", lambda r: hosts.over_ssh(r, words))
    if hosts.is_dry_run:
        install = ["install", python or PYTHONS[0], "HASH"]
        return [hosts.over_ssh(role, install, Payload(ARCHIVE, b"")) for role in reached(asked)]
    answers = {outcome.role: outcome.stdout for outcome in asked if outcome.exit_code == 0}
    bundles = Bundles()
    installed = hosts.on_each(
        list(answers),
        "waiting for the bundle to be made",
        lambda role: _install_on(hosts, role, answers[role], bundles),
    )
    return [*failures(asked), *installed]


def _install_on(hosts: Hosts, role: Role, answer: str, bundles: Bundles) -> Outcome:
    try:
        machine = told(answer)
        bundle = bundles.of(machine)
        name = bundle.name_for(machine)
        archive = None if name in machine.bundles else bundle.archive()
    except OperatorError as error:
        return Outcome(role, REFUSED, "", f"error: {error}")
    if archive is None:
        hosts.tell(role, "has it already")
        outcome = hosts.over_ssh(role, ["use", name])
        if outcome.exit_code != GONE:
            return outcome._replace(stdout=_described("already installed", machine))
        archive = bundle.archive()
    payload = Payload(ARCHIVE, archive)
    outcome = hosts.over_ssh(role, ["install", machine.python, name], payload)
    return outcome._replace(stdout=_described(outcome.stdout, machine))


def _described(what: str, machine: Machine) -> str:
    version = ".".join(map(str, machine.version))
    return what and f"{what}, for Python {version} on {machine.processor}"

"""What a host gets before its roles run: the cluster file, and the secrets of those roles alone.

A secret goes through ssh's standard input into a file that nobody else can read at any time. It is
on no command line. On the host it is in ~/.shoal-hosts/CLUSTER/cluster.keys.
"""

from collections.abc import Sequence

from shoal.config.cluster import Cluster
from shoal.config.keys import NoSecretError, own_pair, secret_file
from shoal.hosts.roles import Role, entry_of
from shoal.hosts.ssh import Hosts, Outcome, Payload, failures, reached
from shoal.protocol import addresses

FILE = "cluster.yaml"
KEYS = "cluster.keys"


def send(
    hosts: Hosts, roles: Sequence[Role], every_role: Sequence[Role], cluster: Cluster
) -> list[Outcome]:
    """Send the hosts of `roles` the cluster file, and then each of the roles its secret.

    Secrets of roles that are no longer on a host are removed there. A secret that is not on this
    machine is left as it is on the host.

    Args:
        hosts: the way to them.
        roles: those that are to run.
        every_role: of the cluster.
        cluster: the one that they belong to.

    Returns:
        How it ended, for each of `roles`.

    Raises:
        OperatorError: a secret that is here is not safe, or does not belong to its public key.
    """
    with_secret = {role for role in roles if _has_secret(cluster, role)}
    first = {role.host: role for role in reversed(roles)}
    told = hosts.on_each(
        list(first.values()),
        "getting the cluster file",
        lambda role: _send_file(hosts, role, cluster, _names_at(role, every_role, cluster)),
    )
    by_host = {outcome.role.host: outcome for outcome in told}
    outcomes = [by_host[role.host]._replace(role=role) for role in roles]
    waiting = [role for role in reached(outcomes) if role in with_secret]
    sent = hosts.on_each(
        waiting, "getting its key", lambda role: _send_secret(hosts, role, cluster)
    )
    failed = {outcome.role: outcome for outcome in failures(sent)}
    return [failed.get(outcome.role, outcome) for outcome in outcomes]


def _has_secret(cluster: Cluster, role: Role) -> bool:
    """Return whether a role's secret, which is checked, is on this machine."""
    if cluster.keys is None or cluster.keys.of(role.key_name) is None:
        return False
    try:
        own_pair(cluster, role.key_name)
    except NoSecretError:
        return False
    return True


def _names_at(role: Role, every_role: Sequence[Role], cluster: Cluster) -> list[str]:
    """Return all roles on the host of one of them, by whichever name ssh finds it."""
    if cluster.keys is None:
        return []
    here = {role.host, _address_host(role, cluster)}
    return [
        one.key_name
        for one in every_role
        if one.host in here or _address_host(one, cluster) in here
    ]


def _address_host(role: Role, cluster: Cluster) -> str:
    return addresses.split(entry_of(cluster, role).address)[0]


def _send_file(hosts: Hosts, role: Role, cluster: Cluster, names: Sequence[str]) -> Outcome:
    """Send the cluster file, and remove all secrets but those of `names`."""
    payload = Payload(str(cluster.path), cluster.path.read_bytes())
    return hosts.put(role, payload, f"{hosts.cluster}/{FILE}", "only", *names)


def _send_secret(hosts: Hosts, role: Role, cluster: Cluster) -> Outcome:
    """Send a role its secret, into a file that is nobody else's from its first moment on."""
    source = secret_file(cluster.path, role.key_name)
    name = f"{hosts.cluster}/{KEYS}/{role.key_name}.key"
    return hosts.put(role, Payload(str(source), source.read_bytes()), name, "secret")

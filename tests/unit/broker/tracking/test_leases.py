"""Who renewed in time."""

from shoal.broker.tracking.leases import Leases


def test_a_lease_ends_when_it_is_not_renewed() -> None:
    leases = Leases(lease_s=30)
    leases.renew("n1", now=0)
    leases.renew("n2", now=5)
    leases.renew("n1", now=10)
    assert leases.deadline == 35
    assert leases.expire(34.9) == []
    assert leases.expire(35) == ["n2"]
    assert (leases.is_alive("n1"), leases.is_alive("n2")) == (True, False)
    assert leases.expire(100) == ["n1"]
    assert leases.deadline is None


def test_a_lease_may_be_ended() -> None:
    leases = Leases(lease_s=30)
    leases.renew("n1", now=0)
    leases.end("n1")
    leases.end("n1")
    assert not leases.is_alive("n1")
    assert leases.expire(100) == []

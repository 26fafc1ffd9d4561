"""Whether shoal can run on a host, by what it says of itself."""

import msgspec
import pytest
from shoal.hosts.machine import Machine, this_machine, told
from shoal.hosts.wheels import platforms
from shoal.protocol.errors import OperatorError

OURS = this_machine()
GLIBC = Machine("/usr/bin/python3", (3, 12), "CPython", "linux-aarch64", "glibc", "2.19")


def changed(machine: Machine, **fields: object) -> Machine:
    return msgspec.structs.replace(machine, **fields)


def answer(machine: Machine) -> str:
    return msgspec.json.encode(machine).decode()


def test_its_answer_is_read_whatever_its_shell_prints_before() -> None:
    assert told(f"Welcome to lab-7!\n{answer(OURS)}") == OURS
    assert (GLIBC.processor, GLIBC.glibc) == ("aarch64", (2, 19))
    assert changed(GLIBC, libc_version="").glibc == (0, 0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(changed(GLIBC, version=(3, 9))), "there is 3.9; shoal needs 3.11 or newer: inst"),
        (answer(changed(GLIBC, implementation="PyPy")), "there is PyPy; shoal needs CPython"),
        (answer(changed(GLIBC, implementation="CPythont")), "there is CPythont"),
        (answer(changed(GLIBC, platform="macosx-14-arm64")), "needs Linux"),
        ("hello", "it answered 'hello' and not what its Python is; see what its shell prints"),
        ("[" * 5000, "it answered"),
        ("{}", "it answered"),
    ],
)
def test_a_verdict_has_the_cause_and_the_remedy(said: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words.replace("(", r"\(")):
        told(said)


def test_our_packages_run_where_python_processor_and_libc_are_alike() -> None:
    assert OURS.runs_the_same((2, 17))
    assert not changed(OURS, version=(3, 99)).runs_the_same((2, 17))
    assert not changed(OURS, platform="linux-riscv64").runs_the_same((2, 17))
    assert not changed(OURS, libc="other").runs_the_same((0, 0))
    old = changed(OURS, libc="glibc", libc_version="2.17")
    assert OURS.libc != "glibc" or (old.runs_the_same((2, 17)), old.runs_the_same((2, 28))) == (
        True,
        False,
    )


def test_pip_is_asked_for_what_the_libc_there_can_run() -> None:
    assert platforms(GLIBC) == [
        *(f"manylinux_2_{minor}_aarch64" for minor in (19, 18, 17)),
        "manylinux2014_aarch64",
        "manylinux2010_aarch64",
        "manylinux1_aarch64",
    ]
    assert platforms(changed(GLIBC, libc="musl"))[0] == "musllinux_1_2_aarch64"

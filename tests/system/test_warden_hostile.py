"""A manager that is broken or taken over, and deaths at bad moments: the warden goes on, and nothing stays behind."""

import os
import random
import signal
import socket
import struct
import time

import pytest

from instance import wait_until
from warden import (HOUSEHOLD, CPU, DROP, DUMP, DUMPED, FAILED, LEASE, RESTORE, Warden, create_message, dump_message, kill_message,
                    number_message)

SNAPSHOT = b"0" * 32
GOOD = create_message(1000, ["/bin/probe", "sleep"], ["A=1"])


def good_but(**fields):
    return create_message(1000, ["/bin/probe", "sleep"], ["A=1"], **fields)


# What the warden must not take: the words that it logs, and messages.
BAD = {
    "size": [("message of 1 bytes", GOOD[:1]), ("message of 15 bytes", GOOD[:15]), ("CREATE of 16 bytes", GOOD[:16]),
             ("CREATE of 100 bytes", GOOD[:100]), ("CREATE of", GOOD[:-1]), ("CREATE of", GOOD + b"\0"),
             ("KILL of 17 bytes", kill_message(1) + b"\0"), ("LEASE of 16 bytes", number_message(LEASE, 1, 1)[:16]),
             ("CPU of 16 bytes", number_message(CPU, 1, 1)[:16]), ("", b"x" * 60000)],
    "kind": [("protocol version 1", b"\1" + GOOD[1:])] + [
        (f"message of kind {kind}", GOOD[:4] + struct.pack("=I", kind) + GOOD[8:])
        for kind in (0, 8, 9, 10, 11, 12, 13, 2**32 - 1)],
    "image": [("image name or digest", good_but(image=name))
              for name in ("../x", "a/b", "..", "", ".x", b"x" * 64, "a b")] + [
        ("image name or digest", good_but(image_digest=digest)) for digest in ("0123456789ABCDEF", "0123", "")],
    "code and runtime": [("code digest", good_but(code_digest=digest))
                         for digest in ("../" + "0" * 61, "", "0" * 63)] + [
        ("runtime directory", good_but(runtime_dir=name)) for name in ("../../etc", ".hidden", "a/b", b"x" * 64)],
    "snapshot": [("snapshot id", good_but(snapshot=name)) for name in ("../x", "0" * 31, "F" * 32, b"0" * 33)] + [
        ("snapshot id", dump_message(kind, 1, name)) for kind in (DUMP, DROP) for name in (b"", b"../" + b"0" * 29)] + [
        (f"DUMP or DROP of {len(bad)} bytes", bad) for bad in (
            dump_message(DUMP, 1, SNAPSHOT)[:16], dump_message(DUMP, 1, SNAPSHOT, b"x", 2),
            dump_message(DROP, 0, SNAPSHOT, b"", 1), dump_message(DUMP, 1, SNAPSHOT, b"x" * 16385))] + [
        ("DUMP or DROP with 0 descriptors and 1 bytes", dump_message(DUMP, 1, SNAPSHOT, b"x")), ("lease of", number_message(RESTORE, 1, 2**32 - 1))],
    "numbers": [("flags 0x2", good_but(flags=2)), ("uid index 65000", good_but(uid_index=65000)),
                ("uid index 4294967295", good_but(uid_index=2**32 - 1))] + [
        ("memory, tmp, cpu or lease out of range", good_but(**{field: value})) for field, value in (
            ("memory_bytes", 0), ("memory_bytes", 2**63), ("tmp_bytes", 0), ("tmp_bytes", 2**64 - 1), ("cpu_millis", 0),
            ("lease_ms", 0), ("lease_ms", 15 * 60 * 1000 + 15001))] + [
        ("lease of", number_message(LEASE, 1, 2**32 - 1)), ("cpu of 0 ms", number_message(CPU, 1, 0))],
    "strings": [("arguments or environment", good_but(**{field: value})) for field, value in (
        ("argc", 0), ("argc", 3), ("envc", 0), ("envc", 2**32 - 1))] + [
        ("CREATE of", good_but(strings_bytes=0)), ("CREATE of", good_but(strings_bytes=2**32 - 1)),
        ("arguments or environment", create_message(1000, ["/bin/probe"] + ["x"] * 16)),
        ("arguments or environment", create_message(1000, ["/bin/probe"], ["x"] * 641)),
        ("", create_message(1000, ["/bin/probe"], ["x" * 33000]))],
}


@pytest.mark.parametrize("what", BAD)
def test_bad_messages_end_the_manager(what):
    """Each of them: the manager is killed, its sandboxes with it, and a new one is started."""
    for some in (BAD[what][i:i + 4] for i in range(0, len(BAD[what]), 4)):  # the warden pauses longer after each death
        with Warden("--max-deaths", "0") as warden:
            warden.start()
            for words, message in some:
                pid, said = warden.info["pid"], len(warden.log())
                warden.create("sleep")
                warden.send(message)
                warden.meet_manager()
                assert pid != warden.info["pid"] and warden.process.poll() is None, message
                assert f"fnrund: {words}" in warden.log()[said:], warden.log()[said:]
                warden.wait_empty()
            assert warden.run("exit", "3")[1].value == 3


def test_unasked_descriptors_end_the_manager(own_warden):
    before = own_warden.idle_belongings()
    socket.send_fds(own_warden.manager, [kill_message(1)], [0])
    own_warden.meet_manager()
    socket.send_fds(own_warden.manager, [b"x"], [0] * 30)
    own_warden.meet_manager()
    assert own_warden.idle_belongings() == before


@pytest.mark.parametrize("message", [dump_message(DUMP, 1, SNAPSHOT), dump_message(DROP, 0, SNAPSHOT, b"x")],
                         ids=["DUMP", "DROP"])
def test_descriptors_of_no_use_with_a_dump_end_the_manager(own_warden, message):
    socket.send_fds(own_warden.manager, [message], [0])
    own_warden.meet_manager()
    assert "1 descriptors" in own_warden.log()


def test_a_dump_touches_no_connection_but_the_sandboxs_own():
    """TCP repair could do much to a connection of the machine that a manager holds."""
    with Warden() as warden, socket.create_server(("127.0.0.1", 0)) as server:
        warden.add_toolbox()
        warden.start()
        sandbox = warden.create("sleep")

        def dumped(connection):
            socket.send_fds(warden.manager, [dump_message(DUMP, sandbox.number, SNAPSHOT, b"GET /")], [connection.fileno()])
            kind, answer, _ = warden.answer(sandbox.number)
            assert kind == DUMPED
            return answer.text.decode()

        wait_until(lambda: "prepared" not in dumped(server), what="criu to be prepared")
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            assert "the connection belongs to another sandbox" in dumped(accepted)
            client.send(b"as before")
            assert accepted.recv(100) == b"as before"
        assert "connection" in dumped(server)
        assert not (warden.state / "snapshots" / SNAPSHOT.decode()).exists()
        sandbox.end()


def test_the_same_id_twice_ends_the_manager(own_warden):
    own_warden.create("sleep")
    own_warden.next -= 1
    own_warden.ask("/bin/probe", "sleep")
    own_warden.meet_manager()
    assert "CREATE of sandbox 1, which exists" in own_warden.log()


def mutated(rng, number):
    """A message with some changed bytes, nearly always in places where any value is valid: id, environment."""
    kinds = [create_message(number, ["/bin/probe", "sleep"], ["A=1"], lease_ms=100), kill_message(number),
             number_message(LEASE, number, 500), number_message(CPU, number, 500)]
    message = bytearray(rng.choice(kinds))
    harmless = range(8, 16) if len(message) <= 24 else range(len(message) - 4, len(message) - 1)
    places = range(len(message)) if rng.random() < 0.02 else harmless
    for _ in range(rng.choice([0, 0, 1, 2, 8])):
        message[rng.choice(places)] = rng.randrange(1, 256)
    return bytes(message)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages(own_warden, seed):
    """Most are valid and do something, to sandboxes that are being made, run, end; sooner or later one is not."""
    rng, lives = random.Random(seed), 0
    before = own_warden.idle_belongings()
    while lives < 5:
        try:
            for number in range(1, 100):
                for _ in range(4):
                    own_warden.send(mutated(rng, number))
            own_warden.send(b"surely invalid")
            own_warden.send(b"")
        except (BrokenPipeError, ConnectionResetError):
            pass
        own_warden.meet_manager()
        lives += 1
    own_warden.next = 10_000
    assert own_warden.run("exit", "3")[1].value == 3
    own_warden.wait_empty()
    assert own_warden.idle_belongings() == before


def test_killed_manager_takes_its_sandboxes_along(own_warden):
    first, second = own_warden.create("fork-and-stay", "20"), own_warden.create("tick", uid_index=1)
    first.line()
    second.freeze()
    own_warden.ask("/bin/probe", "sleep")
    own_warden.replace_manager()
    own_warden.wait_empty()
    assert not own_warden.of_uid(own_warden.uid(0)) and not own_warden.of_uid(own_warden.uid(1))
    assert own_warden.run("exit", "4")[1].value == 4


def test_manager_that_dies_again_and_again():
    with Warden() as warden:
        warden.start()
        for _ in range(4):
            warden.replace_manager()
        os.kill(warden.info["pid"], signal.SIGKILL)
        assert warden.process.wait(30) == 1
        assert warden.log().splitlines()[-1].endswith("fnrund ended 5 times within 10 s: giving up")


def test_a_manager_that_closes_its_socket(own_warden):
    pid = own_warden.info["pid"]
    own_warden.create("sleep")
    own_warden.manager.close()
    own_warden.meet_manager()
    assert own_warden.info["pid"] != pid and "fnrund: closed its socket" in own_warden.log()
    own_warden.wait_empty()


def test_a_manager_that_reads_late(own_warden):
    """Its answers wait in the warden, which goes on with everything else."""
    numbers = [own_warden.ask("/bin/none") for _ in range(700)]
    for number in numbers:
        assert own_warden.answer(number)[0] == FAILED


def test_a_manager_that_never_reads():
    """What waits for it is bounded: it is killed, and the warden keeps nothing of it."""
    with Warden("--max-sandboxes", "0") as warden:  # so that each is refused at once
        before = warden.start().idle_belongings()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for number in range(40_000):
                warden.send(create_message(number, ["/bin/probe"]))
        warden.meet_manager()
        assert "doesn't read its messages" in warden.log()
        assert warden.idle_belongings() == before


# --- kill -9 of the warden


def check_new_life(warden):
    """The sweep is over before the next manager starts; what it killed may need a moment to be reaped."""
    warden.start()
    wait_until(lambda: not warden.sandbox_groups() and not warden.of_uid(warden.uid_base + 1), what="the sweep")
    wait_until(lambda: len(warden.members()) == HOUSEHOLD, what="warden and manager to be alone")
    assert warden.run("exit", "0")[1].value == 0


def some_of_all(warden):
    for n in range(3):
        warden.create("fork-and-stay", "5", uid_index=n)
        warden.create("daemonize", uid_index=n)
    warden.create("tick", uid_index=9).freeze()


def making(warden):
    for n in range(20):
        warden.ask("/bin/probe", "sleep", uid_index=n)


def ending(warden):
    for sandbox in [warden.create("fork-and-stay", "5") for _ in range(10)]:
        sandbox.kill()


def losing_its_manager(warden):
    for _ in range(10):
        warden.create("fork-and-stay", "5")
    os.kill(warden.info["pid"], signal.SIGKILL)


@pytest.mark.parametrize("moment", [0, 0.002, 0.005, 0.02])
@pytest.mark.parametrize("busy_with", [some_of_all, making, ending, losing_its_manager])
def test_killed_warden_leaves_nothing_after_a_restart(busy_with, moment):
    with Warden() as warden:
        warden.start()
        some_of_all(warden)
        busy_with(warden)
        time.sleep(moment)
        warden.stop(signal.SIGKILL)
        check_new_life(warden)


def test_sandboxes_die_with_a_killed_warden():
    """Without any restart: but for a frozen one, which can't be killed before somebody thaws it."""
    with Warden() as warden:
        warden.start()
        for n in range(5):
            warden.create("fork-and-stay", "20", uid_index=n).line()
        warden.ask("/bin/probe", "sleep")
        warden.stop(signal.SIGKILL)
        wait_until(lambda: not warden.members(), what="all processes to die")
        check_new_life(warden)


@pytest.mark.parametrize("moment", [0.001, 0.003, 0.01, 0.02, 0.04])
def test_warden_killed_while_it_starts(moment):
    """While it sweeps an earlier life, or while it makes namespaces and its manager."""
    with Warden() as warden:
        warden.start()
        some_of_all(warden)
        warden.stop(signal.SIGKILL)
        warden.launch()
        time.sleep(moment)
        warden.stop(signal.SIGKILL)
        check_new_life(warden)

"""Names of queues: random, or leased from the host so that they are the same after a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tracedrpc.drivers.rabbit import names
from tracedrpc.drivers.rabbit.names import QueueNames
from tracedrpc.exceptions import InvalidOption, TransportDriverError
from tracedrpc.options import Options

HOLDER = """
import sys, tempfile
from tracedrpc.drivers.rabbit import names
from tracedrpc.options import Options
names.FOLDERS = (sys.argv[1],)
leased = names.QueueNames(Options(use_queue_manager=True, hostname="h", processname="p")).lease("reply_")
print(leased.unique, flush=True)
sys.stdin.read()
"""

FORKER = """
import os, sys
from tracedrpc.drivers.rabbit import names
from tracedrpc.options import Options
names.FOLDERS = (sys.argv[1],)
source = names.QueueNames(Options(use_queue_manager=True, hostname="h", processname="p"))
lease = source.lease("reply_")

def show():
    other = source.lease("reply_")
    print(other.unique, flush=True)
    other.release()

if not os.fork():
    lease.forget()
    show()
    os._exit(0)
os.wait()
show()
lease.release()
show()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "FOLDERS", (str(tmp_path),))
    return tmp_path


def named(host="h", process="p", **options):
    return QueueNames(Options(use_queue_manager=True, hostname=host, processname=process, **options))


def leased(source, prefix="reply_"):
    lease = source.lease(prefix)
    try:
        return lease.unique
    finally:
        lease.release()


# ---- random names --------------------------------------------------------------------------------


def test_without_the_queue_manager_names_are_random_and_need_no_file(folder):
    source = QueueNames(Options())
    first, second = source.lease("reply_"), source.lease("reply_")
    assert re.fullmatch("[0-9a-f]{32}", first.unique)
    assert first.unique != second.unique
    first.release()
    assert list(folder.iterdir()) == []


# ---- names that stay -----------------------------------------------------------------------------


def test_names_are_host_process_and_the_lowest_number_that_is_free(folder):
    source = named()
    first, second = source.lease("reply_"), source.lease("reply_")
    assert [first.unique, second.unique] == ["h:p:1", "h:p:2"]
    first.release()
    again = source.lease("reply_")
    assert again.unique == "h:p:1"
    again.release()
    second.release()


def test_after_a_restart_the_names_are_the_same(folder):
    assert leased(named()) == leased(named()) == "h:p:1"


def test_each_kind_of_queue_is_numbered_for_itself(folder):
    source = named()
    leases = [source.lease(prefix) for prefix in ("reply_", "compute_fanout_", "network_fanout_")]
    assert {lease.unique for lease in leases} == {"h:p:1"}
    for lease in leases:
        lease.release()


def test_other_hosts_and_processes_have_other_names(folder):
    kept = named().lease("reply_")
    assert leased(named(process="q")) == "h:q:1"
    assert leased(named(host="g")) == "g:p:1"
    kept.release()


def test_host_and_process_are_this_machine_s_and_program_s_if_nothing_is_said(folder, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "cn7")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/nova-compute"])
    assert leased(named(host="", process="")) == "cn7:nova-compute:1"


def test_what_servers_would_not_accept_in_a_reply_queue_s_name_is_replaced(folder):
    assert leased(named(host="cn 7", process="(wsgi:nova)/é")) == "cn_7:_wsgi:nova__é:1"


def test_a_name_that_is_given_back_leaves_no_file(folder):
    source = named()
    kept, _ = source.lease("reply_"), leased(source)
    (file,) = folder.iterdir()
    assert file.read_text() == f"reply_h:p:1 {os.getpid()}\n"
    kept.release()
    assert list(folder.iterdir()) == []


def test_a_file_that_was_given_back_just_before_it_was_locked_counts_for_nothing(folder, monkeypatch):
    opened = []

    def lock_too_late(fd, how):
        opened.append(fd)
        if len(opened) == 1:
            (file,) = folder.iterdir()
            file.unlink()

    monkeypatch.setattr(names.fcntl, "flock", lock_too_late)
    lease = named().lease("reply_")
    assert lease.unique == "h:p:1"
    assert len(opened) == 2
    assert len(list(folder.iterdir())) == 1
    lease.release()


def test_giving_back_twice_is_harmless(folder):
    source = named()
    first = source.lease("reply_")
    first.release()
    second = source.lease("reply_")
    first.release()
    assert leased(source) == "h:p:2", "the second release must not have closed another's file"
    second.release()


# ---- other processes -----------------------------------------------------------------------------


@pytest.fixture
def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_a_name_that_another_process_holds_is_left_to_it_until_it_ends_in_whatever_way(holder):
    assert holder.stdout.readline().strip() == "h:p:1"
    assert leased(named()) == "h:p:2"
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    assert leased(named()) == "h:p:1"


def test_a_child_lets_go_of_its_parent_s_name_without_losing_it_for_the_parent(folder):
    done = subprocess.run(
        [sys.executable, "-c", FORKER, str(folder)], capture_output=True, text=True, check=True, timeout=30,
    )
    assert done.stdout.split() == ["h:p:2", "h:p:2", "h:p:1"]


def test_a_file_of_another_user_is_a_name_that_is_taken(folder, monkeypatch):
    real = os.open

    def refuse_the_first(path, *args):
        if not list(folder.iterdir()):
            real(path, *args)
            raise PermissionError(13, "another user's", str(path))
        return real(path, *args)

    monkeypatch.setattr(os, "open", refuse_the_first)
    assert leased(named()) == "h:p:2"


def test_a_link_that_somebody_has_laid_out_is_not_followed(folder):
    kept = named().lease("reply_")
    (lock,) = folder.iterdir()
    victim = folder / "victim"
    victim.write_text("precious")
    lock.unlink()
    lock.symlink_to(victim)
    assert leased(named()) == "h:p:2"
    kept.forget()
    assert victim.read_text() == "precious"


# ---- beside the original -------------------------------------------------------------------------


def started(pid):
    return Path(f"/proc/{pid}/stat").read_text().split()[21]


def test_numbers_that_a_running_service_on_oslo_messaging_has_taken_are_left_to_it(folder):
    (folder / "h_p_qmanager").write_text(f"{os.getppid()}:3:{started(os.getppid())}")
    assert leased(named()) == "h:p:4"


@pytest.mark.parametrize("text", ["{parent}:3:1", "999999999:3:5", "", "x:y:z", "1:2"])
def test_what_a_service_has_left_behind_that_runs_no_more_counts_for_nothing(folder, text):
    (folder / "h_p_qmanager").write_text(text.format(parent=os.getppid()))
    assert leased(named()) == "h:p:1"


# ---- what can go wrong ---------------------------------------------------------------------------


def test_without_a_place_to_write_to_the_option_is_refused_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(names, "FOLDERS", (str(tmp_path / "missing"), "/proc/missing"))
    with pytest.raises(InvalidOption, match="needs a place to write to") as caught:
        named()
    assert caught.value.name == "use_queue_manager"


def test_the_second_folder_serves_when_the_first_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(names, "FOLDERS", (str(tmp_path / "missing"), str(tmp_path)))
    assert leased(named()) == "h:p:1"


def test_a_name_that_is_too_long_for_amqp_is_refused(folder):
    with pytest.raises(InvalidOption, match="more than 255 bytes"):
        named(process="p" * 250).lease("reply_")


def test_when_all_names_are_in_use_it_says_so(folder, monkeypatch):
    monkeypatch.setattr(names, "MOST", 2)
    kept = named().lease("reply_")
    with pytest.raises(TransportDriverError, match="are in use"):
        named().lease("reply_")
    kept.release()


def test_another_fault_of_the_system_is_told_and_not_waited_out(folder, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(TransportDriverError, match=r"reply_h:p:1.*No space left"):
        named().lease("reply_")

"""How many cores this process may use, on any system."""

import os
import subprocess
import sys

import pytest

from stages.shared.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process can't be bound here")
def test_a_process_that_is_bound_to_a_core_has_one():
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    code += "from stages.shared.cores import cores; print(cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


def test_where_the_system_does_not_bind_processes_all_cores_are_counted(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for count, expected in ((3, 3), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert cores() == expected

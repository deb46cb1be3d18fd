# SPDX-License-Identifier: Apache-2.0
"""The guarded line in a start-up file: every other byte stays."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.hosts import startup_line
from deblur_engine.hosts.startup_line import GUARD, with_line, without_line

TEXTS = st.lists(st.sampled_from([b"import os", b"x = '\xff'", b"\n", b"\r\n", b"", b"# c", b"\t"])).map(b"".join)


@given(TEXTS)
def test_removing_undoes_adding_whatever_the_file_holds(text):
    assert without_line(with_line(text, b"import nuke")) == text


@given(TEXTS)
def test_adding_twice_is_adding_once_and_the_last_line_counts(text):
    once = with_line(text, b"import nuke")
    assert with_line(once, b"import nuke") == once
    other = with_line(once, b"import this")
    assert other.count(GUARD) == 1 and b"import this  " + GUARD in other.splitlines()
    assert without_line(other) == text


@given(TEXTS, TEXTS)
def test_what_a_user_adds_below_stays(text, more):
    edited = with_line(text, b"import nuke") + b"\n" + more
    left = without_line(edited)
    assert GUARD not in left and left.endswith(more)


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path):
    kept = tmp_path / "dotfiles"
    kept.write_bytes(b"import os")
    kept.chmod(0o640)
    (tmp_path / "init.py").symlink_to(kept)
    assert startup_line.add_line(tmp_path / "init.py", "import nuke")
    assert not startup_line.add_line(tmp_path / "init.py", "import nuke")
    assert (tmp_path / "init.py").is_symlink() and kept.stat().st_mode & 0o777 == 0o640
    assert startup_line.remove_line(tmp_path / "init.py", made=False)
    assert kept.read_bytes() == b"import os"


@pytest.mark.parametrize("made", [True, False])
def test_a_file_of_ours_goes_and_an_empty_one_of_theirs_stays(tmp_path, made):
    path = tmp_path / "init.py"
    if not made:
        path.write_bytes(b"")
    startup_line.add_line(path, "import nuke")
    startup_line.remove_line(path, made=made)
    assert path.exists() is not made
    assert not startup_line.remove_line(path, made=made)
    assert os.listdir(tmp_path) == ([] if made else ["init.py"])

"""What survives a restart, and what a crash may cost."""

import pytest

from localcluster.apiserver.errors import ApiError
from localcluster.apiserver.journal import Journal


@pytest.fixture
def reopened(world, tmp_path):
    """Opens the folder again and again, each time as a new process would."""
    journals = []

    def open_():
        journal = Journal(tmp_path)
        again = type(world)(history=journal.load())
        journal.follow(again.store.history)
        journals.append(journal)
        return again

    yield open_
    for journal in journals:
        journal.close()


def test_objects_and_revisions_go_on(reopened):
    first = reopened()
    first.config("a", {"k": "v"})
    first.config("b")
    first.store.delete(first.configs, "default", "b")
    before = first.store.list(first.configs)
    second = reopened()
    after = second.store.list(second.configs)
    assert after.objects == before.objects
    assert after.revision == before.revision
    second.config("c")
    assert second.store.revision == before.revision + 1


def test_the_past_before_a_restart_is_gone_but_the_present_can_be_watched(reopened):
    first = reopened()
    first.config("a")
    second = reopened()
    assert list(second.store.history.since(second.configs.collection, second.store.revision)) == []
    with pytest.raises(ApiError):
        second.store.history.since(second.configs.collection, second.store.revision - 1)


def test_a_half_written_last_line_is_dropped(reopened, tmp_path):
    first = reopened()
    first.config("a")
    first.config("b")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert reopened().names() == ["a"]


def test_a_broken_line_in_the_middle_is_told(reopened, tmp_path):
    reopened().config("a")
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"{nonsense", *lines[1:]]))
    with pytest.raises(ValueError, match="line 2"):
        Journal(tmp_path).load()


def test_the_journal_is_rewritten_when_it_has_grown(reopened, tmp_path, monkeypatch):
    from localcluster.apiserver import journal, patches

    monkeypatch.setattr(journal, "_FEWEST_LINES_TO_REWRITE", 50)
    first = reopened()
    first.config("a")
    for n in range(200):
        first.store.patch(first.configs, "default", "a", media=patches.MERGE, body={"data": {"n": str(n)}})
    assert (tmp_path / "journal.jsonl").read_bytes().count(b"\n") < 100
    second = reopened()
    assert second.store.get(second.configs, "default", "a")["data"] == {"n": "199"}
    assert second.store.revision == first.store.revision


def test_the_file_is_its_owners_alone(reopened, tmp_path):
    reopened()
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o077 == 0

"""What is asked of the scheduler for one shard: pinned to its worker, never tried again, taken back when it ends."""

from __future__ import annotations

from loadsim.engines.dask_shard import Shard, submit, take_back, unsubscribe, why
from loadsim.engines.dask_task import supervise_shard
from loadsim.swarm.spec import ShardSpec

from .conftest import spec_of


class Future:
    def __init__(self, done: bool, answer: object = None) -> None:
        self.answer, self.released, self._done = answer, False, done

    def done(self) -> bool:
        return self._done

    def release(self) -> None:
        self.released = True

    def exception(self) -> object:
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


class Client:
    def __init__(self) -> None:
        self.calls: list = []

    def submit(self, *values, **how):
        self.calls.append((values, how))
        return Future(False)

    def cancel(self, futures, force):
        self.calls.append((futures, force))

    def unsubscribe_topic(self, topic):
        self.calls.append(topic)


def test_a_task_is_pinned_and_never_tried_again():
    client, spec = Client(), spec_of("short")
    submit(client, Shard(spec, "loadsim-r-1-0", "tls://w"), "loadsim-r-1", ["python"])
    [((work, text, key, topic, command), how)] = client.calls

    assert (work, key, topic, command) == (supervise_shard, "loadsim-r-1-0", "loadsim-r-1", ["python"])
    assert ShardSpec.decode(text) == spec
    assert how == {
        "key": "loadsim-r-1-0",
        "pure": False,
        "retries": 0,
        "workers": ["tls://w"],
        "allow_other_workers": False,
    }


def test_what_runs_is_cancelled_and_all_are_released():
    client, runs, ended = Client(), Future(False), Future(True)
    take_back(client, [runs, ended])

    assert client.calls == [([runs], True)]
    assert runs.released
    assert ended.released


def test_the_reason_is_an_answer_however_it_comes():
    refused, lost = ValueError("no"), OSError("gone")

    assert why(Future(True, refused)) is refused
    assert why(Future(True, lost)) is lost
    assert why(Future(True)) is None


def test_topics_are_left():
    client = Client()
    unsubscribe(client, ["a", "b"])

    assert client.calls == ["a", "b"]

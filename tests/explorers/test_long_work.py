"""Steps beside the notebook: stopped between two of them, errors seen, one work at a time."""

from threading import Event, current_thread

import pytest
from matplotlib.figure import Figure

from skysense_nb.errors import SampleError
from skysense_nb.explorers import Explorer
from skysense_nb.explorers.long_work import LongWork


class Worker(Explorer):
    def __init__(self):
        super().__init__()
        self.work = LongWork(self, "Counting")
        self.lay_out(self.work.box)

    def figure(self):
        return Figure()


@pytest.fixture
def explorer():
    return Worker()


def start(explorer, items, step):
    """Begins and remembers how it ends."""
    ended = []
    explorer.work.start(items, step, lambda count, complete: ended.append((count, complete)))
    return ended


def test_all_steps_are_done_in_turn_in_another_thread(explorer):
    seen = []
    ended = start(explorer, iter("abc"), lambda item: seen.append((item, current_thread())))
    explorer.work.wait(10)
    assert [item for item, _ in seen] == ["a", "b", "c"] and ended == [(3, True)]
    assert all(thread is not current_thread() for _, thread in seen)
    assert not explorer.work.running and explorer.work.bar.value == explorer.work.bar.max == 3


def test_stop_ends_between_steps_and_keeps_what_is_done(explorer):
    done, begun, go_on = [], Event(), Event()

    def step(item):
        begun.set()
        assert go_on.wait(10)
        done.append(item)

    ended = start(explorer, range(5), step)
    assert begun.wait(10) and explorer.work.running and explorer.work.box.layout.display == ""
    explorer.work.button.click()
    go_on.set()
    explorer.work.wait(10)
    assert done == [0] and ended == [(1, False)]  # the step that ran was finished, no other was begun
    assert explorer.work.box.layout.display == "none"


def test_stop_during_the_last_step_is_too_late_to_count(explorer):
    ended = start(explorer, [1], lambda _: explorer.work.stop())
    explorer.work.wait(10)
    assert ended == [(1, True)]


def test_a_refused_step_shows_and_ends_the_work(explorer):
    def step(item):
        if item == 2:
            raise SampleError.of("even", "odd", "Choose another.")

    ended = start(explorer, [1, 2, 3], step)
    explorer.work.wait(10)
    assert "<b>Expected even, got odd. Choose another.</b>" in explorer.message.value
    assert ended == [] and explorer.work.bar.value == 1
    assert explorer.work.box.layout.display == "none" and explorer.busy.value == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_other_error_of_a_step_shows_too(explorer):
    start(explorer, [1], lambda _: {}["missing"])
    explorer.work.wait(10)
    assert "KeyError: &#x27;missing&#x27;" in explorer.message.value
    assert explorer.work.box.layout.display == "none"


def test_beginning_again_stops_the_earlier_work_first(explorer):
    order, begun, go_on = [], Event(), Event()

    def slow(item):
        order.append(("first", item))
        begun.set()
        assert go_on.wait(10)

    first = start(explorer, range(100), slow)
    assert begun.wait(10)
    go_on.set()
    second = start(explorer, range(2), lambda item: order.append(("second", item)))
    explorer.work.wait(10)
    assert first[0][1] is False and second == [(2, True)]
    assert order[-2:] == [("second", 0), ("second", 1)]
    assert [name for name, _ in order] == ["first"] * first[0][0] + ["second"] * 2  # never both at once


def test_nothing_to_do_is_done_at_once(explorer):
    ended = start(explorer, [], lambda _: None)
    explorer.work.wait(10)
    assert ended == [(0, True)] and explorer.work.box.layout.display == "none"


def test_closing_ends_the_work_after_its_step(explorer):
    begun, go_on, done = Event(), Event(), []

    def step(item):
        begun.set()
        go_on.wait(0.2)
        done.append(item)

    start(explorer, range(1000), step)
    assert begun.wait(10)
    thread = explorer.work.thread
    explorer.close()
    assert not thread.is_alive() and len(done) < 1000

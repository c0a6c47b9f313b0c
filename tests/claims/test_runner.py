"""A run keeps every seed at once, goes on where it was stopped, and never mixes what does not belong together."""

import pytest

from embedcourse import course
from embedcourse.claims import runner, stored
from embedcourse.claims.results import Results, file_of
from tests.claims.conftest import HEIGHTS, write_module

CHAPTER = course.Chapter(1, "heights")


def measured_now(folder, source=HEIGHTS):
    """The same module, which notes each seed that it measures as a file, and stops at one whose note is there."""
    write_module(folder, "ch01_heights", f"FOLDER = {str(folder)!r}\n" + source.replace(*NOTING))


NOTING = ('return {"height"', 'open(f"{FOLDER}/{seed}", "x")\n    return {"height"')


def run(seeds=3):
    told = []
    return runner.run(CHAPTER, seeds, tell=told.append), told


def stopped_in_seed(folder, seed):
    """Leave a run that stopped in the middle of a seed."""
    measured_now(folder)
    (folder / str(seed)).touch()
    with pytest.raises(FileExistsError):
        run()
    for note in folder.glob("[0-9]"):
        note.unlink()


def notes(folder):
    return sorted(note.name for note in folder.glob("[0-9]"))


def test_every_seed_is_measured_once_in_order(tiny):
    measured_now(tiny)
    results, told = run()
    assert results.columns()["height"] == [1.0, 2.0, 3.0]
    assert notes(tiny) == ["0", "1", "2"]
    assert told[0] == "heights: seed 0 (1 of 3)"
    assert len(told) == 6
    assert [file.name for file in file_of(CHAPTER).parent.iterdir()] == ["heights.json"]


def test_a_run_that_was_stopped_goes_on_with_the_seed_it_was_at(tiny):
    stopped_in_seed(tiny, 2)
    results, told = run()
    assert results.columns()["height"] == [1.0, 2.0, 3.0]
    assert notes(tiny) == ["2"]
    assert told[0] == "heights: 2 of 3 seeds are kept from a run that was stopped"


def test_earlier_results_stay_until_all_seeds_are_measured(measured):
    before = file_of(CHAPTER).read_bytes()
    stopped_in_seed(measured, 1)
    assert file_of(CHAPTER).read_bytes() == before
    assert stored("heights")["height"] == [1.0, 2.0, 3.0]


def test_other_seeds_start_again(tiny):
    stopped_in_seed(tiny, 2)
    results, _ = run(seeds=2)
    assert len(results.rows) == 2
    assert notes(tiny) == ["0", "1"]


def test_other_code_starts_again(tiny):
    stopped_in_seed(tiny, 2)
    measured_now(tiny, HEIGHTS.replace("1.0 + seed", "5.0 + seed"))
    assert run()[0].columns()["height"] == [5.0, 6.0, 7.0]


def test_another_machine_starts_again(tiny, monkeypatch):
    stopped_in_seed(tiny, 2)
    monkeypatch.setattr(runner, "machine", lambda: {"torch": "another"})
    run()
    assert notes(tiny) == ["0", "1", "2"]


def test_a_damaged_rest_starts_again(tiny):
    stopped_in_seed(tiny, 2)
    (rest,) = file_of(CHAPTER).parent.glob("*.tmp")
    rest.write_text(rest.read_text()[:40])
    run()
    assert notes(tiny) == ["0", "1", "2"]


def test_a_finished_run_is_measured_again(measured):
    measured_now(measured)
    run()
    assert notes(measured) == ["0", "1", "2"]


def test_left_out_seeds_are_as_many_as_before_and_three_at_first(tiny):
    assert len(runner.run(CHAPTER, tell=lambda line: None).rows) == 3
    runner.run(CHAPTER, 5, tell=lambda line: None)
    assert len(runner.run(CHAPTER, tell=lambda line: None).rows) == 5


def test_a_claim_that_is_not_measured_is_named(tiny):
    write_module(tiny, "ch01_heights", HEIGHTS.replace('"width": 0.15, ', ""))
    with pytest.raises(ValueError, match=r"ch01_heights\.measure returned no 'width', which is claimed; got \['extra'"):
        run()


def test_a_number_that_is_none_is_not_kept(tiny):
    write_module(tiny, "ch01_heights", HEIGHTS.replace("0.15", "float('nan')"))
    with pytest.raises(ValueError, match="seed 0: expected finite numbers, got nan for 'width'"):
        run()
    assert not file_of(CHAPTER).exists()


def test_the_code_is_the_module_and_the_package_but_not_what_serves_learners(root, tiny):
    import embedcourse.claims.ch01_heights as module

    assert runner.digest_of(module) == runner.digest_of(module)
    files = {file.relative_to(root / "embedcourse").as_posix() for file in runner.used_files()}
    assert {"training.py", "losses/nt_xent.py", "data/words.txt"} <= files
    assert not any(name.startswith(("cli/", "checks/", "claims/")) for name in files)


def test_results_are_of_this_machine(tiny):
    import torch

    results, _ = run()
    assert results.machine["torch"] == torch.__version__
    assert results.machine["threads"] == torch.get_num_threads()
    assert Results.read(file_of(CHAPTER)) == results

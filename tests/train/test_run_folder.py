"""`open_run`: what every kind of run asks of its folder, without a network."""

import pytest

from fastscnn_tf.core.errors import ConfigError, OutputError
from fastscnn_tf.core.files.folder_lock import hold
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.runs.run_folder import OpenRun, open_run

LAST = "last.keras"


def test_a_folder_in_use_is_refused_at_once(tmp_path):
    with hold(tmp_path), pytest.raises(OutputError, match="another run is writing"):
        open_run(tmp_path, {"epochs": 1}, LAST, force=True)


def test_a_folder_with_something_in_it_needs_force_or_resume(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match="not empty"):
        open_run(tmp_path, {"epochs": 1}, LAST)
    with pytest.raises(OutputError, match="nothing to resume"):
        open_run(tmp_path, {"epochs": 1}, LAST, resume=True)
    assert open_run(tmp_path, {"epochs": 1}, LAST, force=True).last is None


def test_a_run_goes_on_from_its_checkpoint_with_the_same_settings(tmp_path):
    write_json(tmp_path / "run.json", {"settings": {"epochs": 3, "cache": "none"}})
    assert open_run(tmp_path, {"epochs": 3}, LAST, resume=True).last is None
    (tmp_path / LAST).touch()
    run = open_run(tmp_path, {"epochs": 3, "cache": "auto"}, LAST, resume=True)
    assert (run.last, run.resume) == (tmp_path / LAST, True)
    with pytest.raises(ConfigError, match="epochs 4: it began with 3"):
        open_run(tmp_path, {"epochs": 4}, LAST, resume=True)
    on = r"not empty: --resume .* goes on with what is there, --force .* replaces it, or choose"
    with pytest.raises(OutputError, match=on):
        open_run(tmp_path, {"epochs": 3}, LAST)


@pytest.mark.parametrize(
    ("settings", "state", "over"),
    [
        ({"epochs": 2}, {}, False),
        ({"epochs": 2}, {"epochs_done": 1, "best_epoch": 1}, False),
        ({"epochs": 2}, {"epochs_done": 2}, True),
        ({"epochs": 9, "early_stopping": 2}, {"epochs_done": 5, "best_epoch": 4}, False),
        ({"epochs": 9, "early_stopping": 2}, {"epochs_done": 5, "best_epoch": 3}, True),
        ({"epochs": 9, "early_stopping": 2}, {"epochs_done": 5}, False),
        ({"epochs": 9, "early_stopping": 0}, {"epochs_done": 5, "best_epoch": 1}, False),
    ],
)
def test_when_a_run_is_over(tmp_path, settings, state, over):
    assert OpenRun(tmp_path, settings, True, None).over(state) is over


def test_a_score_that_is_missing_is_named(tmp_path):
    run = OpenRun(tmp_path, {"epochs": 1}, False, None)
    assert run.required(0.0) == 0.0
    with pytest.raises(OutputError, match=r"state\.json: damaged, it does not say the best score"):
        run.required(None)


def test_fine_tuning_goes_on_with_the_classes_it_began_with(tmp_path):
    for settings in ({"epochs": 1}, {"epochs": 1, "classes": ["sky", "road"]}):
        write_json(tmp_path / "run.json", {"settings": settings, "config": {}})
        run = OpenRun(tmp_path, {"epochs": 1}, True, tmp_path / LAST)
        found = run.with_classes(("sky", "road"))
        assert found.settings == {"epochs": 1, "classes": ["sky", "road"]}
        assert run.settings == {"epochs": 1}
    with pytest.raises(ConfigError, match=r"with classes \['road', 'sky'\]: it began with"):
        run.with_classes(("road", "sky"))
    OpenRun(tmp_path, {"epochs": 1}, False, None).with_classes(("road", "sky"))

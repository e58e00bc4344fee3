"""Hyper-parameter search: the space, real trials, pruning, and what a killed one leaves."""

import csv
import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
from forked import SIGNALLED

optuna = pytest.importorskip("optuna")

from fastscnn_tf.cli.commands import cli  # noqa: E402
from fastscnn_tf.core.errors import ConfigError, OutputError  # noqa: E402
from fastscnn_tf.core.keras_api import keras3  # noqa: E402
from fastscnn_tf.core.labels import IGNORE  # noqa: E402
from fastscnn_tf.train.recipes import train_settings  # noqa: E402
from fastscnn_tf.train.search.hyper_search import run_search  # noqa: E402
from fastscnn_tf.train.search.search_space import Dimension, parse_space  # noqa: E402
from fastscnn_tf.train.settings import TrainSettings  # noqa: E402
from fastscnn_tf.train.trainer import run_training  # noqa: E402

BASE = TrainSettings("toy", None, (64, 96), 3, 4)
SPACE = ["learning_rate=log:0.001..0.01", "augment=none,gentle"]


def test_the_space_is_read():
    texts = [
        "learning-rate=log:1e-3..0.1",
        "batch_size=4..16",
        "power=0.5..1",
        "augment=paper, strong",
        "aux_heads=none,true,false",
        "width=0.5,1",
        "l2=none,0.0001",
    ]
    assert parse_space(texts, BASE) == (
        Dimension("learning_rate", 0.001, 0.1, log=True),
        Dimension("batch_size", 4, 16),
        Dimension("power", 0.5, 1.0),
        Dimension("augment", choices=("paper", "strong")),
        Dimension("aux_heads", choices=(None, True, False)),
        Dimension("width", choices=(0.5, 1.0)),
        Dimension("l2", choices=(None, 0.0001)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat=0.1..1", "did you mean learning_rate"),
        ("epochs=1..4", "same for all trials"),
        ("seed=1,2", "belongs to a run"),
        ("batch_size", r"expected NAME=A\.\.B"),
        ("batch_size=4..x", "expected int, got 'x'"),
        ("batch_size=4.5..8", "expected int, got '4.5'"),
        ("batch_size=0..8", "batch_size must be at least 1"),
        ("learning_rate=0.1..0.01", "a range needs A < B"),
        ("learning_rate=log:0..0.01", "a range needs 0 < A < B"),
        ("augment=a..b", "augment is not a number"),
        ("augment=paper,wild", "augment must be one of .*, got 'wild'"),
        ("augment=paper,paper", "given twice"),
        ("aux_heads=yes", "expected bool, got 'yes'"),
    ],
)
def test_what_cannot_be_searched_is_named(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_space([text], BASE)
    with pytest.raises(ConfigError, match="twice"):
        parse_space(["power=0.5..1", "power=1,2"], BASE)
    with pytest.raises(ConfigError, match="something to vary"):
        parse_space([], BASE)


def test_draws_stay_in_the_space():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = parse_space(["learning_rate=log:0.001..0.1", "batch_size=4..6"], BASE)
    drawn = [[d.suggest(trial) for d in space] for trial in (study.ask() for _ in range(40))]
    rates, sizes = zip(*drawn, strict=True)
    assert set(sizes) == {4, 5, 6}
    assert 0.001 <= min(rates) < 0.004  # a uniform draw would find nothing below in 4 of 10 tries
    assert np.median(rates) < 0.03
    assert max(rates) <= 0.1


@pytest.fixture(scope="module")
def base(small_weights, tmp_path_factory):
    """A run of two epochs on four drawn streets, which lie in files; of one class there is none."""
    from PIL import Image

    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    root, toy = tmp_path_factory.mktemp("search") / "data", ToyStreets("train", (64, 96))
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for i in range(4):
        image, label = toy.read(i)
        label[label == 8] = IGNORE
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        Image.fromarray(label).save(root / "labels" / f"{i}.png")
    split = "{images: images, labels: labels}"
    names = "".join(f"  - {name}\n" for name in toy.labels.names)
    (root / "dataset.yaml").write_text(
        f"name: own\nclasses:\n{names}splits:\n  train: {split}\n  val: {split}\n"
    )
    small = {"init_from": str(small_weights), "aux_heads": False, "bn_momentum": 0.9}
    return TrainSettings("folder", str(root), (64, 96), 2, 4, 0.01, **small)


@pytest.fixture(scope="module")
def searched(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "out"
    lines = []
    return run_search(base, SPACE, folder, trials=1, report=lines.append), lines


@pytest.fixture
def study(searched):
    storage = optuna.storages.RDBStorage(f"sqlite:///{searched[0].folder / 'study.db'}")
    yield optuna.load_study(study_name="fastscnn", storage=storage)
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.train
def test_a_search_leaves_runs_and_a_recipe(base, searched):
    result, lines = searched
    (trial,) = result.trials
    run = json.loads((result.folder / "trial-0000" / "run.json").read_text())
    state = json.loads((result.folder / "trial-0000" / "state.json").read_text())
    assert (trial.number, trial.state, trial.epochs) == (0, "complete", 2)
    assert trial.miou == state["best"]
    assert 0.001 <= run["settings"]["learning_rate"] <= 0.01
    assert run["settings"]["seed"] == base.seed
    assert trial.values == {name: run["settings"][name] for name in ("learning_rate", "augment")}
    place = {name: getattr(base, name) for name in ("dataset", "data_dir", "size", "init_from")}
    assert train_settings(result.recipe, **place) == result.best
    assert lines[0].startswith("trial 1 of 1: complete, val mIoU")
    assert result.table().splitlines()[0].split() == [
        *("trial", "state", "mIoU,", "%", "epochs", "learning_rate", "augment"),
    ]


@pytest.mark.train
def test_a_killed_trial_goes_on_and_a_bad_one_is_stopped(base, searched, study, capsys):
    folder = searched[0].folder
    # A process that died in the second epoch of a trial: its study and its run folder.
    trial = study.ask()
    values = {d.name: d.suggest(trial) for d in parse_space(SPACE, base)}
    trial.set_user_attr("folder", "trial-0001")

    class Killed(keras3().callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            trial.report(logs["val_miou"], epoch + 1)

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    settings = dataclasses.replace(base, **values)
    with pytest.raises(KeyboardInterrupt):
        run_training(settings, folder / "trial-0001", verbose=0, extra_callbacks=[Killed()])
    first = study.trials[1].intermediate_values[1]
    # Trials that nothing here can reach, so that the next one is below the median.
    distributions = study.trials[1].distributions
    for _ in range(5):
        good = optuna.trial.create_trial(
            params=values,
            distributions=distributions,
            value=0.99,
            intermediate_values={1: 0.99, 2: 0.99},
            user_attrs={"val_miou": 0.99},
        )
        study.add_trial(good)
    capsys.readouterr()
    result = run_search(base, SPACE, folder, trials=8, resume=True, warmup=1)
    assert capsys.readouterr().err.count("split 'train': ") == 1  # a warning of both trials
    states = {t.number: (t.state, t.epochs) for t in result.trials}
    assert states[7] == ("complete", 2)  # the killed one, number 1, under a new number
    assert 1 not in states
    assert next(t for t in result.trials if t.number == 7).values == values
    rows = list(csv.DictReader((folder / "trial-0001" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert study.trials[7].intermediate_values[1] == first
    assert states[8] == ("pruned", 1)
    assert json.loads((folder / "trial-0008" / "state.json").read_text())["epochs_done"] == 1
    assert result.trials[-1].number == 8  # complete ones come first
    assert result.best.learning_rate == values["learning_rate"]


@pytest.mark.train
def test_resume_is_refused_with_another_search(base, searched, tmp_path):
    folder = searched[0].folder
    with pytest.raises(OutputError, match="not empty"):
        run_search(base, SPACE, folder, trials=1)
    with pytest.raises(ConfigError, match="another space"):
        run_search(base, SPACE[:1], folder, trials=1, resume=True)
    other = dataclasses.replace(base, momentum=0.5)
    with pytest.raises(ConfigError, match=r"momentum 0\.5: it began with 0\.9"):
        run_search(other, SPACE, folder, trials=1, resume=True)
    storage = tmp_path / "other.journal"
    with pytest.raises(ConfigError, match=r"with this --storage: it began without; leave it out"):
        run_search(base, SPACE, folder, trials=1, resume=True, storage=storage)
    shared = shutil.copytree(folder, tmp_path / "shared")
    (shared / "study.db").unlink()  # as if it had begun with a storage
    typo = f"sqlite:///{tmp_path / 'other.db'}"
    for other, given in ((None, "without"), (storage, "with this"), (typo, "with this")):
        with pytest.raises(ConfigError, match=f"{given} --storage: it began with another, or"):
            run_search(base, SPACE, shared, trials=1, resume=True, storage=other)
    assert not list(tmp_path.glob("other.*"))  # nothing is made of a slip
    with pytest.raises(ConfigError, match="trials must be at least 1"):
        run_search(base, SPACE, tmp_path / "new", trials=0)
    with pytest.raises(ConfigError, match="validate_every"):
        run_search(dataclasses.replace(base, validate_every=0), SPACE, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.train
def test_a_finished_search_is_read_again_by_the_command(base, searched):
    from click.testing import CliRunner

    folder = searched[0].folder
    result = CliRunner().invoke(cli, ["search", *options(base, folder, 1)], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"best settings: {folder / 'best.json'}" in result.output


def options(base, output, trials, *more):
    return [
        *("--dataset", "folder", "--data-dir", base.data_dir, "--size", "64x96"),
        *("--epochs", str(base.epochs)),
        *("--batch-size", "4", "--learning-rate", "0.01", "--bn-momentum", "0.9", "--no-aux"),
        *("--init-from", base.init_from, "--space", SPACE[0], "--space", SPACE[1]),
        *("--trials", str(trials), "--output", str(output), "--resume", *map(str, more)),
    ]


@pytest.mark.train
@pytest.mark.process
def test_two_processes_draw_the_trials_of_one_study(base, fork, tmp_path):
    """One with a folder of its own, as on another machine, and a journal between them."""
    journal, outputs = tmp_path / "search.journal", (tmp_path / "a" / "own", tmp_path / "b" / "own")
    command = ("search", *options(base, outputs[1], 3, "--storage", journal))
    other = fork(command, tmp_path / "said.txt")
    other.wait_for(lambda: list(outputs[1].glob("trial-*")))  # it is in its first trial then
    result = run_search(base, SPACE, outputs[0], 3, resume=True, storage=journal)
    other.finish()
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(journal))
    )
    trials = optuna.load_study(study_name="own", storage=storage).trials
    assert len(trials) == 3
    assert all(trial.state.is_finished() for trial in trials)
    assert {trial.user_attrs["process"].split()[-1] for trial in trials} == {
        str(os.getpid()),
        str(other.number),
    }
    folders = [{path.name for path in output.glob("trial-*")} for output in outputs]
    assert not folders[0] & folders[1]
    assert len(folders[0] | folders[1]) == 3
    assert len({trial.params["learning_rate"] for trial in trials}) == 3
    best = [(output / "best.json").read_bytes() for output in outputs]
    assert best[0] == best[1]
    assert len(result.trials) == 3


@pytest.mark.train
@pytest.mark.process
def test_the_trial_of_a_killed_process_is_tried_again(base, fork, tmp_path):
    output, url = tmp_path / "out", f"sqlite:///{tmp_path / 'shared.db'}"
    base = dataclasses.replace(base, epochs=3)
    command = ("search", *options(base, output, 1, "--storage", url))
    killed = fork((int(signal.SIGKILL), 2, 1, *command), tmp_path / "said.txt", SIGNALLED)
    killed.finish(-signal.SIGKILL)
    killed.bury()
    other = tmp_path / "other" / "out"
    with pytest.raises(ConfigError, match="epochs 2: it began with 3"):
        run_search(dataclasses.replace(base, epochs=2), SPACE, other, 1, resume=True, storage=url)
    with pytest.raises(ConfigError, match="this search with the space"):
        run_search(base, SPACE[:1], other, 1, resume=True, storage=url)
    with pytest.raises(OutputError, match="--resume takes part"):
        run_search(base, SPACE, other, 1, storage=url)
    assert not (other / "search.json").exists()
    result = run_search(base, SPACE, output, 1, resume=True, storage=url)
    storage = optuna.storages.RDBStorage(url)
    dead, again = optuna.load_study(study_name="out", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert (dead.state.name, again.state.name) == ("FAIL", "COMPLETE")
    assert again.params == dead.params
    assert dead.intermediate_values.items() <= again.intermediate_values.items()
    assert result.trials[0].epochs == 3
    rows = list(csv.DictReader((output / "trial-0000" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("mysql://user:secret@host/name", "No module named 'MySQLdb': install it"),
        ("postgres//x", r"no folder postgres \(make it first\): expected a database's URL"),
        ("nodb://user:secret@host/name", r"nodb://user:\.\.\.@host/name: no database is called n"),
        ("sqlite:////no/such/folder/x.db", r"no folder /no/such/folder \(make it first\)"),
        ("sqlite://", r"only this process sees it: name a file"),
        (f"sqlite:///{__file__}", "not a database: expected an SQLite file"),
        ("", "--storage: expected a database's URL or a file, got an empty text"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line(base, tmp_path, storage, told):
    output = tmp_path / "out"
    with pytest.raises(ConfigError, match=told) as error:
        run_search(base, SPACE, output, 1, storage=storage)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not output.exists()


def test_a_journal_that_is_damaged_within_names_the_line(base, tmp_path):
    path = tmp_path / "search.journal"
    begun = b'{"op_code":0,"worker_id":"a","study_name":"other","directions":[2]}\n'
    path.write_bytes(content := begun + begun[:20] + b"\n" + begun)
    with pytest.raises(ConfigError, match=r"line 2 is not a record of .*: take a copy") as error:
        run_search(base, SPACE, tmp_path / "out", 1, storage=path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"my notes\n", b'{"op_code":0', b"\0\n"])
def test_nothing_is_written_behind_what_is_no_journal(base, tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"notes\.txt: (expected a jour|its last line)"):
        run_search(base, SPACE, tmp_path / "out", 1, storage=path)
    assert path.read_bytes() == content
    assert not (tmp_path / "out").exists()

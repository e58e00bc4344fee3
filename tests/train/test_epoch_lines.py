"""What a run says while it trains, in a pipe and on a terminal; all of it in a pipe: `test_cli`."""

import io
import os
import pty
import re
import subprocess
import sys
import types

import pytest

from fastscnn_tf.cli import commands
from fastscnn_tf.core.console import StatusLine
from fastscnn_tf.core.errors import InputError
from fastscnn_tf.train import epoch_lines
from fastscnn_tf.train.epoch_lines import EpochLines


class Clock:
    """Seconds that a test sets."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        fake = types.SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(epoch_lines, "time", fake)


def lines_of(epochs: int, score: str = "val_miou", shown: object = "auto") -> EpochLines:
    state = {"best": None, "best_epoch": None}
    checkpoint = types.SimpleNamespace(score=score, state=state, first=0, began=0.0)
    lines = EpochLines(checkpoint, epochs, shown)
    lines.model, lines.params = types.SimpleNamespace(stop_training=False), {"steps": 7}
    lines.on_train_begin()
    return lines


def end_epoch(lines: EpochLines, epoch: int, **logs: float) -> None:
    """What `Checkpoint` does before, and the end of the epoch."""
    score, state = logs.get(lines.checkpoint.score), lines.checkpoint.state
    if score is not None and (state["best"] is None or score > state["best"]):
        state.update(best=score, best_epoch=epoch)
    lines.on_epoch_end(epoch - 1, logs)


def test_a_run_that_goes_on_says_where_and_counts_what_was_done(capsys, monkeypatch):
    clock, lines = Clock(monkeypatch), lines_of(3)
    clock.now, lines.checkpoint.first, lines.checkpoint.began = 100.0, 5, 50.0
    lines.on_epoch_begin(1)
    clock.now = 120.0
    lines.on_train_batch_end(6, {"loss": 2.0})
    end_epoch(lines, 2, loss=2.0)
    assert capsys.readouterr().out.splitlines() == [
        "goes on in epoch 2 at step 5 of 12",
        "epoch 2/3  loss 2.0000  1 min 10 s left",
    ]


def test_a_run_that_goes_on_at_an_epochs_beginning_says_so_once(capsys):
    lines = lines_of(3)
    lines.on_epoch_begin(1)
    end_epoch(lines, 2, loss=2.0)
    lines.on_epoch_begin(2)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "goes on at epoch 2 of 3"
    assert len(said) == 2
    lines_of(3).on_epoch_begin(0)  # begins
    lines_of(3, shown=0).on_epoch_begin(1)
    assert capsys.readouterr().out == ""


def test_a_line_says_score_best_and_the_time_left(capsys, monkeypatch):
    clock, lines = Clock(monkeypatch), lines_of(10)
    clock.now = 50.0  # so long the first step takes, which is traced
    lines.on_train_batch_end(0, {"loss": 2.0})
    clock.now = 60.0
    lines.on_train_batch_end(1, {"loss": 1.5})
    end_epoch(lines, 1, loss=1.5, val_miou=0.25)
    clock.now = 70.0  # the first epoch traced: it does not count any more
    end_epoch(lines, 2, loss=1.25, val_miou=0.2)
    clock.now = 80.0
    end_epoch(lines, 3, loss=1.0)  # not validated
    assert capsys.readouterr().out.splitlines() == [
        "epoch  1/10  loss 1.5000  val mIoU 25.00 %  best 25.00 % (epoch 1)  1 min 30 s left",
        "epoch  2/10  loss 1.2500  val mIoU 20.00 %  best 25.00 % (epoch 1)  1 min 20 s left",
        "epoch  3/10  loss 1.0000  best 25.00 % (epoch 1)  1 min 10 s left",
    ]


def test_the_last_line_says_how_long_it_took(capsys, monkeypatch):
    clock, lines = Clock(monkeypatch), lines_of(2)
    clock.now = 65.0
    end_epoch(lines, 2, loss=1.0)
    assert capsys.readouterr().out == "epoch 2/2  loss 1.0000  1 min 05 s in all\n"
    lines = lines_of(100)
    lines.model.stop_training = True  # as early stopping does
    end_epoch(lines, 5, loss=1.0)
    assert capsys.readouterr().out.endswith("in all\n")


def test_a_resumed_run_counts_its_own_epochs(capsys, monkeypatch):
    clock, lines = Clock(monkeypatch), lines_of(100)
    clock.now = 30.0
    end_epoch(lines, 98, loss=1.0, val_top1=0.5)
    assert capsys.readouterr().out.endswith("1 min 00 s left\n")


def test_scores_have_their_names_and_silence_is_kept(capsys):
    end_epoch(lines_of(1, score="val_top1"), 1, loss=1.0, val_top1=0.5)
    assert "val top1 50.00 %" in capsys.readouterr().out
    end_epoch(lines_of(1, shown=0), 1, loss=1.0)
    assert capsys.readouterr().out == ""


def test_a_score_says_of_how_many_classes_it_is(capsys):
    lines = lines_of(1)
    lines.checkpoint.state["class_iou"] = {"sky": 1.0, "road": None, "car": None}
    end_epoch(lines, 1, loss=1.0, val_miou=1.0)
    assert "  val mIoU 100.00 % of 1 of 3 classes  " in capsys.readouterr().out


def test_a_terminal_shows_the_steps_and_a_pipe_does_not(capsys, monkeypatch):
    lines = lines_of(3)
    lines.on_epoch_begin(0)
    lines.on_train_batch_end(4, {"loss": 2.0})
    assert capsys.readouterr() == ("", "")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    lines = lines_of(3)
    lines.on_epoch_begin(0)
    lines.on_train_batch_end(4, {"loss": 2.0})
    assert terminal.getvalue() == "epoch 1/3  step 5/7  loss 2.0000\r"
    end_epoch(lines, 1, loss=2.0)
    shown = terminal.getvalue().split("\r")
    assert shown[1] == " " * len(shown[0])


def test_an_error_does_not_stand_behind_what_a_status_line_left(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def fails(*_, **__):
        lines_of(3).on_train_batch_end(4, {"loss": 2.0})
        raise InputError("broken")

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(StatusLine, "last", None)
    monkeypatch.setattr(commands.cli, "make_context", fails)
    with pytest.raises(SystemExit):
        commands.run_command([])
    *_, left, cleared, error = terminal.getvalue().split("\r")
    assert left.startswith("epoch") and cleared == " " * len(left)
    assert error == "fastscnn: broken\n"


def on_a_terminal(command: list[str], **env: str) -> str:
    """What a program writes on a terminal."""
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    running = subprocess.Popen(command, env={**os.environ, "COLUMNS": "120", **env}, **streams)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 1 << 16):
            parts.append(part)
    except OSError:  # EIO: the other end is closed
        pass
    os.close(ours)
    assert running.wait() == 0, b"".join(parts)
    return b"".join(parts).decode()


@pytest.mark.train
@pytest.mark.process
def test_training_on_a_terminal_leaves_one_line_for_each_epoch(
    tmp_path, shared_data, small_weights
):
    command = [sys.executable, "-m", "fastscnn_tf", "train", "--size", "64x96", "--epochs", "2"]
    command += ["--dataset", "folder", "--data-dir", str(shared_data), "--batch-size", "2"]
    command += ["--no-aux", "--init-from", str(small_weights), "--output", str(tmp_path / "run")]
    shown = on_a_terminal(command, TERM="xterm-256color")
    assert "\x1b" not in shown  # no colour with or without NO_COLOR, the lines are text
    left = [re.sub(r".*\r(?=.)", "", line) for line in shown.replace("\r\n", "\n").split("\n")]
    epochs = [line for line in left if line.startswith("epoch")]
    assert [line[:9] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    assert re.search(r"val mIoU \d+\.\d\d %  best \d+\.\d\d % \(epoch 1\).* left$", epochs[0])
    assert epochs[1].endswith("in all")
    assert "step 1/" in shown
    assert "━" not in shown and "ms/step" not in shown  # Keras' own bar

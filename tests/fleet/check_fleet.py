"""Work that Ray's actors share: as by one process, whoever is killed in the midst of it.

`make fleet` runs it where Ray is installed: all on one cluster that is started here and joined by
its address, but for a Ray that the command starts itself.
"""

import functools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

# Ray reads it when it is imported, here and in all that is started.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."  # as the package sets it, which comes later
pytest.importorskip("ray")

from test_fleet import (
    DONE,
    MODEL,
    Holed,
    Reader,
    below,
    content,
    four_pairs,  # noqa: F401 - a fixture
    noted,
    packed_pairs,  # noqa: F401 - a fixture
    pictures,
    reader,
    scores,
    stopped_at,
)
from test_workers import Broken, Doubled, Mortal, Together, check_sharing

from fastscnn_tf.core.errors import ConfigError, DataError, InputError
from fastscnn_tf.core.files.journal import Journal
from fastscnn_tf.evaluation.prediction import predict_files
from fastscnn_tf.runtime.actors import in_actors
from fastscnn_tf.runtime.crew import WorkerDied
from fastscnn_tf.runtime.fleet import Fleet
from fastscnn_tf.scoring.protocol import evaluate_predictor

PATIENCE = 600  # seconds, on a machine that has other work
RAY = Path(sysconfig.get_path("scripts")) / "ray"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The address of a cluster of two CPUs on this machine."""
    port = free_port()
    command = [RAY, "start", "--head", f"--port={port}", "--num-cpus=2", "--block"]
    command += ["--include-dashboard=false", "--disable-usage-stats"]
    command += [f"--object-store-memory={100 << 20}"]
    log = tmp_path_factory.mktemp("ray") / "log"
    for _ in range(3):  # a machine that has other work may not do it in Ray's 30 seconds
        with log.open("wb") as out:
            process = subprocess.Popen(
                list(map(str, command)), stdout=out, stderr=out, start_new_session=True
            )
        until(functools.partial(ready_or_gone, process, log), log.read_text)
        if process.poll() is None:
            break
    assert process.poll() is None, log.read_text()
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(PATIENCE)


def ready_or_gone(process, log):
    return "Ray runtime started" in log.read_text() or process.poll() is not None


def there_or_gone(process, path):
    return path.exists() or process.poll() is not None


def until(reached, said=lambda: ""):
    """Waits for something."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, said()
        time.sleep(0.05)


@pytest.mark.parametrize("last", [True, False])
def test_auto_where_no_cluster_runs_is_told_at_once(tmp_path, last):
    """Before a test starts one, which Ray would find."""
    given, port = pictures(tmp_path / "in", 1), free_port()
    (tmp_path / "ray").mkdir()
    if last:  # as of a cluster that was killed
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    command = [sys.executable, "-m", "fastscnn_tf", "predict", MODEL, *given]
    command += ["--output", tmp_path / "out", "--engine", "ray", "--address", "auto"]
    environment = {**os.environ, "RAY_TMPDIR": str(tmp_path)}
    end = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    where = rf"answers at \S+:{port} \(Connection refused\)" if last else "runs on this machine"
    said = rf"fastscnn: no Ray cluster {where}: start one with `ray start --head`, or leave .*\n"
    assert (end.returncode, bool(re.fullmatch(said, end.stderr))) == (2, True), end.stderr
    assert not (tmp_path / "out").exists()


def test_results_come_in_order_and_only_so_many_ahead(cluster, tmp_path):
    results = in_actors(functools.partial(Together, tmp_path), list(range(60)), 2, cluster)
    found = [next(results)]
    time.sleep(1)
    assert len(list(tmp_path.glob("[0-9]*"))) <= 33  # back-pressure: nobody takes what comes
    found += results
    assert [value for value, _ in found] == [2 * n for n in range(60)]
    assert len({process for _, process in found} - {os.getpid()}) == 2


def test_the_first_error_counts(cluster, tmp_path):
    numbers = [0, 1, -2, 3, -4, *range(5, 99)]
    results = in_actors(functools.partial(Doubled, tmp_path), numbers, 2, cluster)
    assert [next(results)[0], next(results)[0]] == [0, 2]
    with pytest.raises(DataError, match="-2 is below 0"):
        next(results)
    assert not (tmp_path / "98").exists()
    with pytest.raises(DataError, match="cannot be made"):
        list(in_actors(functools.partial(Broken, tmp_path), [1, 2], 2, cluster))


def test_what_a_killed_actor_had_is_done_by_another(cluster, tmp_path):
    found = list(in_actors(functools.partial(Mortal, tmp_path), list(range(20)), 2, cluster))
    assert [value for value, _ in found] == [2 * n for n in range(20)]
    assert (tmp_path / "died").exists()


def test_what_kills_every_actor_is_named(cluster, tmp_path, capfd):
    results = in_actors(functools.partial(Doubled, tmp_path), [1, 666, 2], 2, cluster)
    assert next(results)[0] == 2
    with pytest.raises(WorkerDied, match="666: the last of 3 workers that worked at it died"):
        next(results)
    assert capfd.readouterr() == ("", "")


def test_scores_are_those_of_one_process_to_the_last_bit(cluster):
    assert scores(Fleet(2, cluster)) == scores(None)


def test_scoring_goes_on_where_it_was_cut_off_to_the_last_bit(cluster, tmp_path):
    path, fleet = tmp_path / "done.jsonl", Fleet(2, cluster)
    with pytest.raises(KeyboardInterrupt):
        scores(fleet, Journal(path, {}), stopped_at(5))
    assert len(noted(path)) == 5
    assert scores(fleet, Journal(path, {})) == scores(None)
    assert len(noted(path)) == 9


def test_a_bad_pair_is_named_or_counted(cluster):
    shared = functools.partial(
        evaluate_predictor, Reader(), Holed(), fleet=Fleet(2, cluster), reopen=reader
    )
    with pytest.raises(DataError, match="drawn_4: a hole"):
        shared()
    assert shared(skip_bad=True).skipped == 2


def test_the_commands_give_what_one_process_gives(cluster, tmp_path, run):
    pictures(tmp_path / "in", 5)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    (tmp_path / "list.txt").write_text("gone.png\n")
    ray = ("--engine", "ray", "--address", cluster, "--processes", 2)
    for name, engine in (("one", ()), ("ray", ray)):
        listed = ("predict", MODEL, tmp_path / "in", tmp_path / "list.txt")
        code, out, err = run(*listed, "--output", tmp_path / name, *engine, "--skip-bad")
        assert (code, "skipped 2 of 7 images" in err) == (0, True)
        assert out.endswith(": label map and overlay of 5 images\n")
        command = ("pseudo-label", MODEL, "--images", tmp_path / "in", "--confidence", 0.3)
        command = (*command, "--output", tmp_path / f"{name}-pseudo", "--skip-bad", *engine)
        assert run(*command)[0] == 0
    assert content(tmp_path / "one") == content(tmp_path / "ray")
    one, two = (content(tmp_path / f"{name}-pseudo" / "labels") for name in ("one", "ray"))
    assert one == two
    command = ("predict", MODEL, tmp_path / "in", "--output", tmp_path / "other", *ray)
    code, _, err = run(*command)
    assert (code, "bad.png: not a readable image" in err) == (2, True)


def test_packed_pictures_are_shared(cluster, four, packed, tmp_path, run):
    ray = ("--engine", "ray", "--address", cluster, "--processes", 2, "--resume")
    for name, images, engine in (("one", four / "images", ()), ("ray", packed, ray)):
        command = ("predict", MODEL, images, "--recursive", "--output", tmp_path / name, *engine)
        assert run(*command)[0] == 0
    assert below(tmp_path / "one") == below(tmp_path / "ray" / "val")


def test_check_and_convert_do_what_threads_do(cluster, tmp_path, run):
    check_sharing(run, tmp_path, "--engine", "ray", "--address", cluster, "--processes", 2)


def test_a_killed_driver_is_started_again(cluster, tmp_path):
    given = pictures(tmp_path / "in", 60)
    predict_files(MODEL, given, tmp_path / "one")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "fastscnn_tf", "predict", MODEL, tmp_path / "in", "--resume"]
    command += ["--output", out, "--engine", "ray", "--address", cluster, "--processes", "2"]
    command = list(map(str, command))
    driver = subprocess.Popen(command)
    until(lambda: (out / DONE).exists() and (out / DONE).read_text().count('"done"') > 5)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    lines = [json.loads(line) for line in (out / DONE).read_text().splitlines()]
    done = [Path(line["done"]).stem for line in lines if line.get("done")]
    assert 5 < len(done) < 60
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert again.returncode == 0
    assert f"{len(done)} of 60 images are done already" in again.stderr
    written = {name: data for name, data in content(out).items() if name[0] != "."}
    assert written == content(tmp_path / "one")
    for name in done:
        path = out / f"{name}_labels.png"
        assert path.stat().st_mtime_ns == before[path.name]  # not done twice


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_a_ray_of_our_own_ends_with_the_command(tmp_path, number):
    pictures(tmp_path / "in", 200)
    command = [sys.executable, "-m", "fastscnn_tf", "predict", MODEL, tmp_path / "in"]
    command += ["--output", tmp_path / "out", "--engine", "ray"]
    begun = tmp_path / "out" / "003_overlay.png"
    for _ in range(3):  # as for the cluster
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        until(functools.partial(there_or_gone, process, begun))
        if process.poll() is None:
            break
        said = process.communicate()[1]
    assert process.poll() is None, said
    assert of_session(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    if number == signal.SIGTERM:
        assert (process.returncode, err) == (143, "fastscnn: asked to end\n")
        assert not list((tmp_path / "out").glob(".*"))
    until(lambda: not of_session(process.pid), lambda: of_session(process.pid))


def of_session(driver):
    """What runs of the Ray that a process started: its number is in the session's name."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"_{driver}/" in text and int(line.parent.name) != driver:
            found.append(text[:200])
    return found


def test_what_is_no_cluster_is_told(tmp_path, run, monkeypatch):
    given = pictures(tmp_path / "in", 1)
    command = ("predict", MODEL, *given, "--output", tmp_path / "out", "--engine", "ray")
    address = f"127.0.0.1:{free_port()}"
    code, _, err = run(*command, "--address", address)
    said = f"fastscnn: no Ray cluster answers at {address} (Connection refused): start one with"
    assert (code, err.startswith(said), err.count("\n")) == (2, True, 1)
    code, _, err = run(*command, "--address", "nowhere")
    assert (code, "address is HOST:PORT or auto, got 'nowhere'" in err) == (2, True)
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert f"no Ray cluster answers at {address}" in run(*command)[2]
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match=r"processes must be 1\.\.256, got 257"):
        list(in_actors(Doubled, [1], 257, "auto"))


def test_a_cluster_that_asks_for_a_token_is_told(cluster, tmp_path):
    given = pictures(tmp_path / "in", 1)
    command = [sys.executable, "-m", "fastscnn_tf", "predict", MODEL, *given]
    command += ["--output", tmp_path / "out", "--engine", "ray", "--address", cluster]
    without = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    said = subprocess.run(
        list(map(str, command)), env=without, capture_output=True, text=True, timeout=PATIENCE
    )
    expected = "it asks for a token: give it by RAY_AUTH_MODE=token"
    assert (said.returncode, expected in said.stderr) == (2, True), said.stderr


def test_a_machine_that_sees_other_files_is_told(cluster, tmp_path, monkeypatch):
    from fastscnn_tf.runtime import actors

    monkeypatch.setattr(actors, "__version__", "0.0.other")
    with pytest.raises(InputError, match=r"has version .* of this package and not 0\.0\.other"):
        list(in_actors(functools.partial(Doubled, tmp_path), [1], 1, cluster))

"""What a device says of itself, from files as a Raspberry Pi has them."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.device_report import cpu_name, device_report, thermal_state

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


@pytest.fixture
def pi(tmp_path) -> Path:
    """A file system with what Linux shows on a Raspberry Pi 4."""
    files = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/cpuinfo": "processor\t: 0\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
        "sys/class/thermal/thermal_zone0/temp": "61830\n",
        "sys/class/thermal/cooling_device0/type": "cpufreq\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_a_pi_is_named(pi):
    found = device_report(pi)
    assert found["model"] == found["cpu"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found["os"] == "Debian GNU/Linux 13 (trixie)"
    assert set(found["versions"]) == {"fastscnn-tf", "ai-edge-litert", "numpy", "pillow"}


def test_heat_and_throttling_are_read(pi):
    state = thermal_state(pi, lambda: "throttled=0x50005\n")
    assert (state["celsius"], state["governor"], state["mhz"]) == (61.83, "ondemand", 1500)
    expected = ["under-voltage", "throttled", "under-voltage since boot", "throttled since boot"]
    assert state["throttling"] == expected
    assert thermal_state(pi, lambda: "throttled=0x0\n")["throttling"] == []


def test_what_cannot_be_read_is_none(tmp_path):
    state = thermal_state(tmp_path, lambda: "VCHI initialization failed")
    assert state == {"celsius": None, "governor": None, "mhz": None, "throttling": None}
    assert device_report(tmp_path)["model"] is None
    assert cpu_name(tmp_path)


def test_benchmark_tells_all_that_a_figure_needs(tmp_path, run):
    Image.fromarray(draw_scene((3,), (90, 160))[0]).save(tmp_path / "street.png")
    arguments = ("benchmark", MODEL, "--runs", 3, "--warmup", 0, "--threads", 1)
    code, out, err = run(
        *arguments, "--image", tmp_path / "street.png", "--json", tmp_path / "b.json"
    )
    assert (code, err) == (0, "")
    assert "whole frames of 90x160: median" in out
    found = json.loads((tmp_path / "b.json").read_text())
    for latency in (found["latency_ms"], found["frame"]):
        order = [latency[key] for key in ("min", "median", "p90", "p95", "p99", "max")]
        assert order == sorted(order)
        assert order[0] > 0
    assert list(found["frame"]["step_ms"]) == ["resize", "network", "labels"]
    assert found["frame"]["frames_per_second"] == pytest.approx(
        1000 / found["frame"]["median"], rel=0.9
    )
    assert found["sha256"] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert (found["threads"], found["runs"], found["input_size"]) == (1, 3, "448x608")
    assert set(found["thermal"]) == {"before", "after"}
    assert found["device"]["machine"]
    code, _, err = run(*arguments, "--image", tmp_path / "nothing.png")
    assert (code, err.count("\n")) == (2, 1)

"""`fastscnn settings`, `card` and `export --for` as a user's script sees them."""

import json
import shutil
from pathlib import Path

import pytest

from fastscnn_tf.delegates.device import DEVICES

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "tflite"


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(SHIPPED / "fastscnn_camvid_int8.tflite", tmp_path / "m.tflite"))


def test_shown_written_and_turned_into_code(model, run):
    code, out, _ = run("settings", model)
    assert (code, out.splitlines()[0]) == (
        0,
        f"{model}: settings from the runtime's defaults: none travel with it",
    )
    code, out, _ = run("settings", model, "--for", "android-nnapi")
    assert code == 0 and "  nnapi.execution_preference = sustained_speed\n" in out
    assert "  - legacy: NNAPI is deprecated since Android 15" in out
    assert out.count("in Python here: ") == 1
    here = "its settings are for Android (android-nnapi); on this machine the CPU runs it"
    assert f"  in Python here: {here}" in out
    code, _, err = run("agreement", model, model, "--dataset", "toy")  # opens it four times
    assert (code, err) == (0, f"fastscnn: {model}: {here}\n")
    code, out, _ = run("settings", model, "--flags")
    assert code == 0
    assert out.splitlines()[1:] == [
        f"adb push {model} /data/local/tmp/m.tflite",
        "adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite "
        "--use_nnapi=true --nnapi_execution_preference=sustained_speed --disable_nnapi_cpu=true "
        "--nnapi_allow_fp16=false --max_delegated_partitions=3 --num_threads=4",
    ]
    code, out, _ = run("settings", model, "--kotlin", "--package", "com.example")
    assert code == 0 and "package com.example\n" in out and "NnApiDelegate.Options()" in out
    code, out, _ = run("settings", model, "--json")
    assert json.loads(out)["device"] == "android-nnapi"
    beside = json.loads(model.with_name("m.tflite.settings.json").read_text())
    assert beside["settings"] == json.loads(out)
    code, _, _ = run("settings", model, "--json", model.with_name("out.json"))
    assert json.loads(model.with_name("out.json").read_text()) == beside["settings"]


def test_options_are_changed_one_by_one(model, run):
    code, out, err = run("settings", model, "--set", "cpu.num_threads=1", "--set", "device=pi4")
    assert (code, err) == (0, "")
    assert "  cpu.num_threads = 1\n" in out
    code, out, err = run("benchmark", model, "--runs", 1, "--warmup", 0)
    assert "1 thread: median" in out and err == ""
    code, _, err = run("settings", model, "--set", "cpu.num_threads=2")
    assert code == 2 and "exists" in err and "--force" in err
    code, _, err = run("settings", model, "--force", "--set", "api=compiled_model")
    assert code == 2 and "Raspberry Pi 4" in err
    for change, message in (
        ("cpu.num_thread=2", "unknown option 'cpu.num_thread': did you mean 'cpu.num_threads'?"),
        ("cpu.qqq=2", "expected one of cpu.num_threads, cpu."),
        ("cpu.num_threads", "expected OPTION=VALUE"),
        ("gpu.backend=vulkan", "opencl, opengl, webgpu, got 'vulkan'"),
    ):
        code, _, err = run("settings", model, "--force", "--set", change)
        assert code == 2 and message in err
    beside = json.loads(model.with_name("m.tflite.settings.json").read_text())
    assert beside["settings"]["cpu"] == {"num_threads": 1}  # nothing of these was written


def test_settings_of_another_model(model, run):
    run("settings", model, "--for", "pi5")
    shutil.copy(SHIPPED / "fastscnn_camvid_float16.tflite", model)
    for command in (("settings", model), ("benchmark", model, "--runs", 1)):
        code, _, err = run(*command)
        assert code == 2 and "belongs to another model" in err
    code, out, _ = run("settings", model, "--for", "pi5", "--force")
    assert code == 0 and "this file has recipe float16, the table says int8" in out
    assert run("benchmark", model, "--runs", 1)[0] == 0


def test_bad_input(model, run, tmp_path):
    for arguments, message in (
        ((model, "--for", "pi6"), "unknown device 'pi6': did you mean"),
        ((), "name a .tflite"),
        ((tmp_path / "no.tflite",), "no such model file"),
        ((model, "--kotlin", "--flags"), "choose one of --flags and --kotlin"),
        ((model, "--kotlin", "--json"), "choose one of --kotlin and --json"),
        ((model, "--table"), "--table is the same for every model: leave the rest out"),
        ((model, "--package", "com.example"), "--package is of the Kotlin source: pass --kotlin"),
        ((model, "--kotlin", "--package", "com.if.x"), "'if' is a keyword of Kotlin or Java"),
        ((model, "--kotlin", "--package", "com.int"), "'int' is a keyword of Kotlin or Java"),
        ((model, "--kotlin", "--package", "com..x"), "must be names with dots between"),
        ((model, "--kotlin", "--package", "com._"), "must be names with dots between"),
        ((model, "--kotlin", "--package", "com.9x"), "must be names with dots between"),
        ((model, "--kotlin", "--package", "com.x; y"), "must be names with dots between"),
        ((model, "--kotlin", "--package", "com.x\n"), "must be names with dots between"),
        ((model, "--kotlin", "--package", ""), "must be names with dots between"),
    ):
        code, _, err = run("settings", *arguments)
        assert code == 2 and message in err, arguments
    run("settings", model, "--for", "browser")
    for flag in ("--flags", "--kotlin"):
        code, _, err = run("settings", model, flag)
        assert code == 2 and "choose settings for another device" in err


def test_all_options_are_listed_with_their_sources(run):
    code, out, _ = run("settings", "--options")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 2 * (4 + 10 + 31 + 18 + 5 + 19 + 9 + 10 + 4 + 2)
    assert lines[0] == f"device: {', '.join(DEVICES)}"
    assert "npu.qualcomm.htp_p_point: 0..100" in lines
    code, out, _ = run("settings", "--table")
    assert code == 0 and len(out.splitlines()) == 2 + len(DEVICES)


def test_export_for_a_device(config, randomise, tmp_path, run):
    from fastscnn_tf.evaluation.saving import save_model
    from fastscnn_tf.model.fast_scnn import fast_scnn

    keras, output = tmp_path / "m.keras", tmp_path / "m.tflite"
    few = config.replace(width=0.25, pyramid_bins=(1, 2))
    save_model(randomise(fast_scnn(few)), keras, about={"license": "research use"})
    code, _, err = run("export", keras, "--for", "pi5", "--output", output)
    assert code == 2 and "calibration images: pass --dataset and --data-dir" in err
    code, _, err = run("export", keras, "--output", output)
    assert code == 2 and "--recipe or --for is needed" in err
    code, out, _ = run(
        "export", keras, "--for", "android-gpu", "--author", "Ada", "--output", output
    )
    assert code == 0
    assert out.startswith("for android-gpu (Android, GPU): recipe float16, outputs logits, input")
    written = json.loads(output.with_name("m.tflite.json").read_text())
    assert (written["recipe"], written["author"]) == ("float16", "Ada")
    assert written["license"] == "research use"  # what the .keras says
    assert written["input"].startswith("RGB as float32")
    assert written["settings"]["accelerator"] == "gpu"
    assert "run" not in written  # it lies in no run folder
    code, out, _ = run("settings", output)
    assert code == 0 and "device = android-gpu" in out
    code, _, err = run("card", output, "--output", tmp_path / "card.md")
    assert (code, err) == (0, "")
    card = (tmp_path / "card.md").read_text()
    assert "| author | Ada |" in card and "| licence of the weights | research use |" in card
    assert "Training: not stated." in card
    assert "| gpu.precision_loss_allowed | True |" in card

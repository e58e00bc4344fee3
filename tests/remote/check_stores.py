"""Files over HTTP and in S3: a server of Python's own, and moto's, both on this machine.

Called by `make remote`, in an environment that has aiohttp, s3fs and moto.
"""

import functools
import http.server
import io
import os
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import DataError, FastSCNNError, InputError
from fastscnn_tf.core.files import remote
from fastscnn_tf.core.files.reading import local, read_bytes

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
pytestmark = pytest.mark.usefixtures("empty_remote_cache")


def png(seed=0):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with the answers before that a test asks for."""

    answers: ClassVar[list[int]] = []

    def send_head(self):
        if self.answers:
            return self.send_error(self.answers.pop(0))
        return super().send_head()

    def log_message(self, *args):
        pass


@pytest.fixture
def web(tmp_path):
    """A folder, and the address of the server that serves it."""
    folder = tmp_path / "web"
    folder.mkdir()
    Handler.answers = []
    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_model_and_a_folder_over_http(web, tmp_path, run):
    folder, url = web
    (folder / "m.tflite").write_bytes(MODEL.read_bytes())
    (folder / "images" / "sub").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(png())
    (folder / "images" / "sub" / "b.png").write_bytes(png(1))
    (folder / "images" / "gone.png").symlink_to("nowhere")
    arguments = ("predict", f"{url}/m.tflite", f"{url}/images/", "--recursive", "--processes", 2)
    code, said, _ = run(*arguments, "--output", tmp_path / "out")
    assert (code, said) == (0, f"{tmp_path / 'out'}: label map and overlay of 2 images\n")
    for name, content in (("a", png()), ("sub/b", png(1))):
        expected = fs.Segmenter(MODEL).predict(Image.open(io.BytesIO(content)))
        assert np.array_equal(Image.open(tmp_path / "out" / f"{name}_labels.png"), expected)
    arguments = ("predict", f"{url}/m.tflite", f"{url}/images")  # the server adds the slash
    assert run(*arguments, "--output", tmp_path / "one")[0] == 0
    assert (tmp_path / "one" / "a_labels.png").is_file()
    assert fs.read_image(f"{url}/images/a.png?signature=../../x").shape == (64, 96, 3)


def test_answers_of_http(web):
    folder, url = web
    (folder / "a").write_bytes(b"content")
    Handler.answers = [503, 503, 429]
    assert read_bytes(f"{url}/a") == b"content"
    for answer, said in (
        (404, "nothing lies at this address"),
        (403, "refused"),
        (410, "nothing lies at this address"),
        (418, "the server answers 418"),
    ):
        Handler.answers = [answer] * 2
        remote.forget_answers()
        with pytest.raises(DataError, match=said):
            read_bytes(f"{url}/a?secret", error=DataError)
        Handler.answers = []
    Handler.answers = [503] * 99
    remote.forget_answers()
    with pytest.raises(FastSCNNError, match=r"failed 3 times .* try again later") as caught:
        read_bytes(f"{url}/a?secret")
    assert "secret" not in str(caught.value)
    Handler.answers = []


def test_nobody_listens(web):
    with pytest.raises(FastSCNNError, match=r"127\.0\.0\.1:9/a: failed 3 times"):
        read_bytes("http://127.0.0.1:9/a")


@pytest.fixture(scope="module")
def s3():
    """moto's server, and s3fs' filesystem of it."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(variables)
    from fsspec.config import conf, set_conf_env

    set_conf_env(conf)
    store = S3FileSystem(**conf["s3"])
    store.mkdir("bucket")
    yield store
    for name in variables:
        del os.environ[name]
    conf.clear()
    server.stop()


def test_a_data_set_in_s3(s3, own_data, run, tmp_path):
    s3.put(str(own_data), "bucket/set", recursive=True)
    here = fs.open_dataset("folder", own_data, "val")
    there = fs.open_dataset("folder", "s3://bucket/set", "val")
    assert len(here) == len(there) == 3
    for index in range(3):
        for one, other in zip(here.read(index), there.read(index), strict=True):
            assert np.array_equal(one, other)
    code, said, _ = run("data", "check", "--dataset", "folder", "--data-dir", "s3://bucket/set")
    assert code == 0 and "nothing is wrong" in said


def test_results_and_records_in_s3(s3, run):
    s3.pipe("bucket/m.tflite", MODEL.read_bytes())
    s3.pipe("bucket/images/ä b.png", png())
    arguments = ("predict", "s3://bucket/m.tflite", "s3://bucket/images")
    arguments = (*arguments, "--output", "s3://bucket/out")
    assert run(*arguments)[:2] == (0, "s3://bucket/out: label map and overlay of 1 image\n")
    assert sorted(s3.ls("bucket/out", refresh=True)) == [
        "bucket/out/ä b_labels.png",
        "bucket/out/ä b_overlay.png",
    ]
    assert run(*arguments)[0] == 2
    packed = ("data", "pack", "--dataset", "toy", "--split", "val", "--size", "64x96")
    assert run(*packed, "--output", "s3://bucket/packed")[0] == 0
    assert fs.open_dataset("records", "s3://bucket/packed", "val").read(0)[0].shape == (64, 96, 3)


def test_a_bucket_that_is_not_there_is_named_before_the_work(s3, run):
    code, _, err = run("predict", "none.tflite", "none.png", "--output", "s3://nobucket/out")
    assert code == 2 and "nothing can be written there: s3://nobucket/out: " in err


def test_what_s3_refuses(s3):
    with pytest.raises(InputError, match="s3://bucket/none: nothing lies at this address"):
        read_bytes("s3://bucket/none")
    with pytest.raises(InputError, match="s3://nobucket/none: nothing lies at this address"):
        read_bytes("s3://nobucket/none")
    s3.pipe("bucket/versions", b"one")
    assert read_bytes("s3://bucket/versions") == b"one"
    s3.pipe("bucket/versions", b"two")
    remote.forget_answers()
    assert read_bytes("s3://bucket/versions") == b"two"
    for name in ("../up", "a//b", "c\\..\\d", "\x01"):
        s3.pipe(f"bucket/odd/{name}", b"content")
    place = local("s3://bucket/odd")
    for path in place.rglob("*"):
        assert path.resolve().is_relative_to(place)

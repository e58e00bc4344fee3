"""Commands in processes of their own, forked from one that has imported what they need for all."""

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time

# What commands that train need.
TRAINING = """
from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.keras_api import tensorflow, tfmot

tensorflow(), tfmot(), [cli.commands.get(name) for name in ("train", "quantize", "search")]
"""
# Forks for each command: a line of script, arguments and output comes in, the process' number and
# how it ended go out. It stays a zombie until the next line, which may be empty, so that nobody
# else gets its number before.
FORKING = """
import gc, json, os, sys

gc.freeze()  # else looking for garbage writes into, and so copies, the memory that is shared
gc.set_threshold(50_000, 5, 5)
number = None
for line in sys.stdin:
    if number:
        os.waitpid(number, 0)
        number = None
    if not line.strip():
        print(flush=True)
        continue
    script, arguments, output = json.loads(line)
    if (number := os.fork()) == 0:
        break
    print(number, flush=True)
    end = os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    print(end.si_status if end.si_code == os.CLD_EXITED else -end.si_status, flush=True)
else:
    sys.exit()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for stream in (1, 2):
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
sys.argv[1:] = arguments
exec(script)
"""
MAIN = "from fastscnn_tf.cli.main import main; main()"
# `main` that sends itself a signal in a step of an epoch: NUMBER EPOCH STEP ARGUMENTS
SIGNALLED = """
import signal, sys
from fastscnn_tf.cli.main import main
from fastscnn_tf.train import callbacks

number, at_epoch, at_step = map(int, sys.argv[1:4])

class StopOnSignal(callbacks.StopOnSignal):
    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if (self.epoch, batch + 1) == (at_epoch, at_step):
            signal.raise_signal(number)

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores
callbacks.StopOnSignal = StopOnSignal
main(sys.argv[4:])
"""
ONE_THREAD = "TF_NUM_INTRAOP_THREADS"
LIMIT = 3600  # seconds; a run takes about ten, and some minutes on a machine that is busy


class Command:
    """A command that runs in a process of its own, which the server forks: one at a time.

    What it says goes to the file `said`.
    """

    def __init__(self, server, arguments, said, script=MAIN):
        self.server, self.said, self.end = server, said, None
        words = [str(each) for each in arguments]
        server.stdin.write(f"{json.dumps([script, words, str(said)])}\n".encode())
        self.number = int(server.stdout.readline())

    def wait(self, seconds):
        """Its exit code, or minus the signal that ended it; None if it still runs by then."""
        if self.end is None and select.select([self.server.stdout], [], [], seconds)[0]:
            self.end = int(self.server.stdout.readline())
        return self.end

    def wait_for(self, condition):
        """Waits until that holds, which it has to before the command ends."""
        end = time.monotonic() + LIMIT
        while not condition():
            if self.wait(0.05) is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(self.said)

    def finish(self, code=0):
        """What it says until it ends with that code."""
        if self.wait(LIMIT) is None:
            self.kill()
        said = self.said.read_text()
        assert self.end == code, said
        return said

    def kill(self):
        os.kill(self.number, signal.SIGKILL)
        assert self.wait(LIMIT) in (-signal.SIGKILL, 0), self.said

    def bury(self):
        """Takes a process that ended off the list of processes, where it stays until then."""
        self.server.stdin.write(b"\n")
        self.server.stdout.readline()


@contextlib.contextmanager
def forking(imports=TRAINING):
    """Within it (arguments, said, script) -> a `Command` that has begun, with these imports.

    They compute on all threads, as users' do: runs are resumed to the bit on several, too.
    """
    command = [sys.executable, "-c", imports + FORKING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    environment = {name: value for name, value in os.environ.items() if name != ONE_THREAD}
    with subprocess.Popen(command, env=environment, **pipes) as server:
        yield functools.partial(Command, server)
        server.kill()

"""What several tests of runs do to them."""

import contextlib

import pytest

from fastscnn_tf.train import callbacks


@pytest.fixture
def interrupted():
    """(step) -> within it Ctrl-C comes after a checkpoint: of one epoch and this step of another.

    That is just after `state.json` says so; step 0 is the end of the first epoch.
    """
    write = callbacks.write_json

    @contextlib.contextmanager
    def within(step):
        def write_and_interrupt(path, state, *rest):
            write(path, state, *rest)
            if (state["epochs_done"], (state["within"] or {}).get("step", 0)) == (1, step):
                raise KeyboardInterrupt

        kept = f"all until step {step} of epoch 2 is" if step else "finished epochs are"
        said = pytest.raises(KeyboardInterrupt, match=f"in training; {kept} kept, --resume")
        with pytest.MonkeyPatch.context() as patch, said:
            patch.setattr(callbacks, "write_json", write_and_interrupt)
            yield

    return within

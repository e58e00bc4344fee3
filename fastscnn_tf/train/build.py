"""From settings to a compiled network: what is trained, by which optimizer, on which losses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.aliases import Progress
from ..core.config import FastSCNNConfig
from ..core.keras_api import KerasModel, keras3, on_tensorflow, tensorflow
from ..core.labels import LabelSpace
from ..core.sizes import Size
from ..data.class_weights import training_class_weights
from ..data.datasets.dataset import SegmentationDataset
from ..model.fast_scnn import fast_scnn, resize_model
from ..model.initialise import Start
from .distill.distillation import distilling_model
from .distill.saved_logits import saved_logits_in
from .ema import ema_for
from .losses.segmentation_loss import SegmentationLoss, register, segmentation_losses
from .optimizers import optimizer, precision_policy
from .schedules import schedule
from .settings import TrainSettings

LEAST_USUAL = 0.9  # momentum of batch normalisation that every public implementation has at least


@dataclasses.dataclass(frozen=True)
class BuiltNetwork:
    """A network and what trains it.

    Attributes:
        network: the Fast-SCNN at the size of the crops, with auxiliary heads where it trains
            with them.
        fitted: the compiled model that `fit` runs: the network itself, or it and its teacher.
        ema: the callback with the moving average of the weights; None without one.
        size: (height, width) at which the network is used; None: that of the crops.
        loss: of every head, with the class weights of the training split.
        logits: folder of the teacher's logits, which the batches have to carry; None otherwise.
    """

    network: Any
    fitted: Any
    ema: Any = None
    size: Size | None = None
    loss: Any = None
    logits: Path | None = None

    @property
    def variables(self) -> list[Any]:
        """All that a step of training changes or reads."""
        fitted = self.fitted
        own = [*fitted.variables, *fitted.optimizer.variables, *fitted.metrics_variables]
        own += self.ema.variables if self.ema else []
        return list({id(variable): variable for variable in own}.values())


def run_config(
    settings: TrainSettings, labels: LabelSpace, start: Start | None, images: int
) -> FastSCNNConfig:
    """The network of a run: the preset's architecture, or that of the starting weights.

    Args:
        settings: of the run.
        labels: of the training split.
        start: what it begins with.
        images: in the training split; they and the epochs decide `bn_momentum` if nothing else.
    """
    if start:  # it may come of a short run, whose momentum is not for others
        config = start.config
        config = config.replace(bn_momentum=max(config.bn_momentum, LEAST_USUAL))
    else:
        config = FastSCNNConfig.preset(settings.preset or "paper", width=settings.width or 1.0)
    heads = bool(config.aux_layout) if settings.aux_heads is None else settings.aux_heads
    steps = epoch_steps(settings, images) * settings.epochs
    given = {name: getattr(settings, name) for name in ("bn_momentum", "l2", "dropout")}
    own = {name: value for name, value in given.items() if value is not None}
    own.setdefault("bn_momentum", fitting_momentum(steps, config.bn_momentum))
    return config.replace(
        num_classes=len(labels.names),
        class_names=labels.names,
        class_colors=labels.colors,
        input_size=settings.size,
        pad=False,
        aux_heads=heads,
        **own,
    )


def fitting_momentum(steps: int, usual: float) -> float:
    """The momentum of batch normalisation for a run of so many steps.

    Of what the running statistics were before its last fifth 5 % are left at most. With 0.99 and
    less than 1500 steps they would be those of weights that are gone.
    """
    return min(usual, round(0.05 ** (5 / max(steps, 1)), 4))


def build(
    settings: TrainSettings,
    config: FastSCNNConfig,
    data: SegmentationDataset,
    progress: Progress = iter,
) -> BuiltNetwork:
    """A network with fresh weights, compiled by the settings.

    Args:
        settings: of the run.
        config: of the network.
        data: the training split: its size sets the schedule, its labels the class weights.
        progress: wraps the indices of the label maps that are counted for class weights.
    """
    keras = keras3()
    prepare_backend(settings.deterministic)
    keras.utils.set_random_seed(settings.seed)
    with precision_policy(keras, settings.precision):
        network = fast_scnn(config.replace(input_size=settings.crop or settings.size))
    weights = training_class_weights(data, settings.class_weights, progress)
    loss = SegmentationLoss(settings.loss, weights, settings.label_smoothing)
    fitted = network
    saved = saved_logits_in(settings.teacher) if settings.teacher else None
    if settings.teacher:
        strength = settings.distill_temperature, settings.distill_weight
        fitted = distilling_model(network, None if saved else settings.teacher, *strength)
    fitted.compile(**compiled_with(keras, settings, config, loss, epoch_steps(settings, len(data))))
    make_variables(fitted, config.aux_heads and fitted is network)
    ema = ema_for(keras)(settings.ema, network, settings.accumulate) if settings.ema else None
    return BuiltNetwork(network, fitted, ema, settings.size, loss, saved)


def make_variables(model: KerasModel, several_losses: bool) -> None:
    """Makes the variables of the optimizer and of the means of several losses.

    Those made in the first step would have TensorFlow trace it twice.
    """
    model.optimizer.build(model.trainable_variables)
    if several_losses and on_tensorflow(keras3()):
        tf = tensorflow()
        logits = {name: tf.zeros((1, *x.shape[1:])) for name, x in model.output.items()}
        height, width = model.input_shape[1:3]
        labels = dict.fromkeys(logits, tf.zeros((1, height, width), tf.uint8))
        model.compute_loss(None, labels, logits)
        model.reset_metrics()


def prepare_backend(deterministic: bool) -> None:
    """Starts the backend quietly, with operations that repeat to the bit where that is asked."""
    if on_tensorflow(keras3()):
        tf = tensorflow()  # before Keras asks for it, so that it starts quietly
        if deterministic:
            tf.config.experimental.enable_op_determinism()
    register()


def compiled_with(
    keras: ModuleType, settings: TrainSettings, config: FastSCNNConfig, loss: Any, epoch: int
) -> dict[str, Any]:
    """Optimizer and losses of a run, as `model.compile` takes them.

    Args:
        keras: the namespace.
        settings: of the run.
        config: of the network.
        loss: of every head.
        epoch: batches in an epoch; the schedule counts updates.
    """
    losses = segmentation_losses(config.aux_heads, config.aux_layout, loss, settings.aux_weight)
    updates = max(epoch * settings.epochs // settings.accumulate, 1)
    rate = schedule(
        keras,
        settings.schedule,
        settings.learning_rate,
        updates,
        power=settings.power,
        warmup_steps=round(settings.warmup_epochs * epoch / settings.accumulate),
        cycles=settings.cycles,
    )
    names = ("momentum", "weight_decay", "clip_norm", "accumulate")
    options = {name: getattr(settings, name) for name in names}
    return {"optimizer": optimizer(keras, settings.optimizer, rate, **options), **losses}


def epoch_steps(settings: Any, images: int) -> int:
    """Batches in an epoch: full ones only with augmentation, else all (see `load_dataset`)."""
    full = images // settings.batch_size
    return full if settings.augmentation else -(-images // settings.batch_size)


def inference_copy(built: BuiltNetwork) -> KerasModel:
    """The network as it is used: at its own size, float32, without auxiliary heads."""
    return resize_model(built.network, built.size or built.network.config.input_size)

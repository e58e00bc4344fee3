"""Recipes: named, overridable, saved, and refused where they are of another version."""

import json

import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.train.build import fitting_momentum, run_config
from fastscnn_tf.train.recipes import (
    DEFAULTS,
    PLACES,
    RECIPES,
    describe,
    differences,
    recipe_settings,
    train_settings,
    write_recipe,
)
from fastscnn_tf.train.settings import FIELDS, TrainSettings

PLACE = {"dataset": "toy", "data_dir": None, "size": (64, 96)}


def test_the_papers_recipe_is_the_default():
    settings = train_settings(**PLACE)
    assert settings == TrainSettings("toy", None, (64, 96))
    assert (settings.optimizer, settings.learning_rate, settings.power) == ("sgd", 0.045, 0.9)
    assert (settings.batch_size, settings.epochs, settings.aux_weight) == (12, 1000, 0.4)
    assert differences(settings) == {}
    assert describe(settings) == "recipe paper: the paper, unchanged"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_settings(name):
    settings = train_settings(name, **PLACE)
    assert settings.recipe == name
    assert {k: getattr(settings, k) for k in RECIPES[name]} == RECIPES[name]


def test_a_recipe_decides_all_that_belongs_to_no_place():
    assert set(DEFAULTS) | set(PLACES) == set(FIELDS)
    assert not set(DEFAULTS) & set(PLACES)


def test_options_replace_what_a_recipe_says():
    settings = train_settings("strong", **PLACE, epochs=7, seed=3)
    assert (settings.epochs, settings.seed) == (7, 3)
    assert settings.optimizer == RECIPES["strong"]["optimizer"]
    assert "epochs 7" in describe(settings)
    assert "crop 32x64" in describe(train_settings(**PLACE, crop=(32, 64)))
    assert "seed" not in describe(settings)


def test_a_saved_recipe_trains_the_same_way_elsewhere(tmp_path):
    settings = train_settings("strong", **PLACE, epochs=7, crop=(32, 64), seed=5)
    write_recipe(tmp_path / "recipe.json", settings)
    for source in (tmp_path / "recipe.json", str(tmp_path)):
        other = train_settings(source, dataset="camvid", data_dir="x", size=(352, 480))
        assert differences(other) == differences(settings)
        assert (other.recipe, other.dataset, other.seed) == ("strong", "camvid", 0)


def test_an_older_recipe_gets_the_defaults_of_what_it_does_not_name(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"format": 1, "name": "mine", "settings": {"epochs": 3}}))
    assert recipe_settings(path) == ("mine", {**DEFAULTS, "epochs": 3})


def test_unknown_recipes_name_the_known_ones():
    with pytest.raises(ConfigError, match=r"'strnog': expected one of paper, strong, finetune"):
        train_settings("strnog", **PLACE)
    with pytest.raises(ConfigError, match=r"runs/mine\.json: no such file"):
        train_settings("runs/mine.json", **PLACE)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (
            '{"format": 2, "name": "x", "settings": {}}',
            ConfigError,
            "format 2, this version reads 1",
        ),
        ("[]", ConfigError, "not a recipe"),
        ('{"format": 1, "settings": {}}', ConfigError, "missing required field name"),
        (
            '{"format": 1, "name": "x", "settings": {"lerning_rate": 1}}',
            ConfigError,
            "learning_rate",
        ),
        (
            '{"format": 1, "name": "x", "settings": {"dataset": "toy"}}',
            ConfigError,
            "not to a recipe",
        ),
        ("{}", ConfigError, "not a recipe"),
        ("{", ConfigError, "not valid JSON"),
        (
            '{"format": 1, "name": "x", "settings": {"epochs": "3"}}',
            ConfigError,
            "settings: epochs: expected int, got str",
        ),
        ('{"format": 1, "name": "x", "settings": {"epochs": 0}}', ConfigError, "epochs must be"),
    ],
)
def test_recipes_of_another_version_are_refused(tmp_path, content, error, words):
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(error, match=words) as caught:
        train_settings(path, **PLACE)
    assert str(path) in str(caught.value)


def test_a_fault_of_the_options_is_not_the_files(tmp_path):
    write_recipe(tmp_path / "r.json", train_settings(**PLACE))
    with pytest.raises(ConfigError, match=r"^epochs must be at least 1, got 0"):
        train_settings(tmp_path / "r.json", **PLACE, epochs=0)


def test_unknown_settings_name_the_nearest():
    with pytest.raises(ConfigError, match="'epoch'; did you mean epochs"):
        train_settings(**PLACE, epoch=3)


def test_the_command_prints_the_recipe_and_refuses_unknown_ones(run, tmp_path):
    common = ("--dataset", "toy", "--size", "64x96", "--output", tmp_path / "run")
    code, _, error = run("train", *common, "--recipe", "x")
    assert code == 2
    assert error.startswith("fastscnn: unknown recipe 'x'")
    code, _, error = run("train", *common, "--loss", "cros_entropy")
    assert code == 2
    assert "cross_entropy" in error
    assert not (tmp_path / "run").exists()


def test_a_warm_up_that_does_not_fit_is_shortened_and_said(capsys):
    settings = train_settings("strong", **PLACE, epochs=3)
    assert settings.warmup_epochs == pytest.approx(3 * 5 / 150)
    assert capsys.readouterr().err == (
        "fastscnn: recipe strong: warm-up of 5 epochs shortened to 0.1 for a run of 3 "
        "(warmup_epochs sets it)\n"
    )
    assert train_settings("finetune", **PLACE, epochs=1).warmup_epochs == 0.05
    capsys.readouterr()
    assert train_settings("strong", **PLACE, epochs=6).warmup_epochs == 5.0
    assert train_settings("paper", **PLACE, epochs=1).warmup_epochs == 0.0
    assert capsys.readouterr().err == ""
    with pytest.raises(ConfigError, match="warmup_epochs 5 leave nothing of 3 epochs"):
        train_settings("strong", **PLACE, epochs=3, warmup_epochs=5.0)
    with pytest.raises(ConfigError, match="epochs must be at least 1, got 0"):
        train_settings("strong", **PLACE, epochs=0)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="train_settings needs dataset and size, too"):
        train_settings("strong")
    assert train_settings("paper", dataset="toy", size=(64, 96)).data_dir is None


@pytest.mark.parametrize(
    ("steps", "usual", "momentum"),
    [
        *[(50, 0.99, 0.7411), (1000, 0.99, 0.9851), (1500, 0.99, 0.99), (10**6, 0.99, 0.99)],
        *[(1000, 0.9, 0.9), (1, 0.99, 0.0)],
    ],
)
def test_the_statistics_follow_the_last_fifth_of_the_steps(steps, usual, momentum):
    found = fitting_momentum(steps, usual)
    assert found == momentum
    assert found ** (steps / 5) <= 0.0501 or found == usual


def test_a_run_of_few_steps_gets_another_momentum():
    space = LabelSpace.make("own", 3)
    settings = train_settings(dataset="toy", size=(64, 96), epochs=25, batch_size=3)
    assert run_config(settings, space, None, 6).bn_momentum == 0.7411  # 2 steps an epoch
    assert run_config(settings, space, None, 600).bn_momentum == 0.99
    given = train_settings(dataset="toy", size=(64, 96), epochs=25, batch_size=3, bn_momentum=0.99)
    assert run_config(given, space, None, 6).bn_momentum == 0.99
    paper = train_settings(dataset="toy", size=(64, 96))
    assert run_config(paper, space, None, 367).bn_momentum == 0.99
    gluon = train_settings(dataset="toy", size=(64, 96), preset="gluon")
    assert run_config(gluon, space, None, 367).bn_momentum == 0.9

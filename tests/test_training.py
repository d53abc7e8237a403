"""The frozen base, the features and the head, inside one process."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from operator import length_hint
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, load

from activity.engine import Engine, KerasEngine, OpenVINOEngine
from activity.errors import UserError
from activity.model_file import load_openvino_model
from activity.preprocessing import resize
from activity.quiet.keras import keras
from activity.quiet.openvino import ov
from activity.training import dataset
from activity.training.backbone import FeatureExtractor, build_backbone
from activity.training.bases import BASES, IMAGENET
from activity.training.conversion import convert, quantize
from activity.training.dataset import Picture
from activity.training.feature_cache import FeatureCache
from activity.training.head import (
    FeatureBatches,
    assemble,
    build_head,
    scale_temperature,
    train_head,
)
from activity.training.settings import Settings

SETTINGS = Settings(base="tiny")
SIZE, FEATURES = BASES["tiny"].input_size, 64


@pytest.fixture(scope="module")
def backbones(random_weights: Path) -> dict[str, keras.Model]:
    weights = {"resnet50": str(random_weights)}
    return {name: build_backbone(BASES[name], weights.get(name, IMAGENET)) for name in BASES}


@pytest.fixture(scope="module")
def base(backbones: dict[str, keras.Model]) -> keras.Model:
    return backbones["tiny"]


@pytest.fixture(scope="module")
def pictures(dataset_folder: Path) -> list[Picture]:
    return load(dataset_folder).pictures


@pytest.fixture(scope="module")
def model(backbones: dict[str, keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = backbones["efficientnet_lite2"]
    return assemble(backbone, build_head(backbone.output_shape[1], 3, SETTINGS))


@pytest.fixture(scope="module")
def copy(model: keras.Model) -> ov.Model:
    return convert(model)


def extractor(base: keras.Model, path: Path, settings: Settings = SETTINGS) -> FeatureExtractor:
    return FeatureExtractor(base, FeatureCache(path), settings)


@pytest.fixture(scope="module")
def filled(
    base: keras.Model, pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory
) -> FeatureExtractor:
    """Return an extractor whose cache holds the plain view of each picture."""
    filled = extractor(base, tmp_path_factory.mktemp("features") / "cache.sqlite")
    filled.fill(filled.missing(pictures, [0]), lambda _: None)
    return filled


def outputs(engine: Engine, images: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [row for _, row in engine.stream(enumerate(images))]


def test_the_base_is_fed_as_its_weights_were_trained(backbones: dict[str, keras.Model]) -> None:
    """An oracle of the layers before ResNet50: BGR with ImageNet's mean subtracted."""
    resnet50 = backbones["resnet50"]
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
    caffe = image[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    inner = resnet50.get_layer("resnet50")
    expected = inner(caffe, training=False).numpy().mean(axis=(1, 2))
    found = resnet50(image, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert not resnet50.trainable_weights


def test_the_small_base_has_the_weights_it_says(backbones: dict[str, keras.Model]) -> None:
    """The features that its authors' network has in PyTorch (tools/lite2_weights.py)."""
    efficientnet_lite2 = backbones["efficientnet_lite2"]
    image = np.random.default_rng(0).integers(0, 256, (1, 260, 260, 3)).astype(np.float32)
    expected = [0.0036, 0, 0, 0.0507, 0, 0.1051, 0.2255, 0.7347]
    found = efficientnet_lite2(image, training=False).numpy()[0]
    assert found.shape == (1280,)
    np.testing.assert_allclose(found[:8], expected, atol=0.01)  # float16 rounds the weights
    assert found.mean() == pytest.approx(0.164970, abs=5e-4)
    inner = efficientnet_lite2.get_layer("efficientnet_lite2")((image - 127) / 128, training=False)
    np.testing.assert_allclose(found, inner.numpy()[0].mean(axis=(0, 1)), atol=1e-4)
    assert not efficientnet_lite2.trainable_weights


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save_weights(weights)
    for base in (BASES["resnet50"], BASES["efficientnet_lite2"]):
        with pytest.raises(UserError, match=rf"does not hold {base.title} weights"):
            build_backbone(base, str(weights))


def test_an_interrupted_run_goes_on_where_it_stopped(
    base: keras.Model, pictures: list[Picture], tmp_path: Path
) -> None:
    pictures, views = pictures[::4], range(2)
    undisturbed = extractor(base, tmp_path / "one.sqlite")
    undisturbed.fill(undisturbed.missing(pictures, views), lambda _: None)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    first = extractor(base, tmp_path / "two.sqlite")
    with pytest.raises(KeyboardInterrupt):
        first.fill(first.missing(pictures, views), interrupt)
    second = extractor(base, tmp_path / "two.sqlite")
    missing = second.missing(pictures, views)
    # The first of the batches, the plain views of all pictures, is there and not computed again.
    assert sum(len(absent) for _, absent in missing) == len(pictures)
    computed: list[int] = []
    second.fill(missing, computed.append)
    assert sum(computed) == len(pictures)
    assert second.missing(pictures, views) == []

    keys = [second.key(picture, view) for picture in pictures for view in views]
    assert (second.cache.read(keys) == undisturbed.cache.read(keys)).all()


def test_keys_name_all_that_features_depend_on(
    base: keras.Model, pictures: list[Picture], tmp_path: Path
) -> None:
    one, two = pictures[:2]
    path = tmp_path / "cache.sqlite"
    usual = extractor(base, path)
    other_seed = extractor(base, path, replace(SETTINGS, seed=1))
    changed = keras.models.clone_model(base)
    changed.set_weights([weight + 1 for weight in changed.get_weights()])
    keys = [usual.key(one, 0), usual.key(two, 0), usual.key(one, 1), other_seed.key(one, 1)]
    for other in (replace(SETTINGS, resize="squash"), replace(SETTINGS, base="resnet50")):
        keys.append(extractor(base, path, other).key(one, 0))
    keys.append(extractor(changed, path).key(one, 0))
    assert len(set(keys)) == len(keys)
    assert other_seed.key(one, 0) == usual.key(one, 0)  # the plain view has nothing random
    assert extractor(base, path).key(one, 1) == usual.key(one, 1)


def test_an_epoch_holds_every_view_once_with_its_label(
    base: keras.Model, pictures: list[Picture], tmp_path: Path
) -> None:
    labels = sorted(COLOURS)
    features = extractor(base, tmp_path / "cache.sqlite")
    keys = [features.key(picture, view) for picture in pictures for view in (0, 1)]
    numbers = np.zeros((len(keys), FEATURES))
    numbers[:, 0] = np.arange(len(keys))  # a stand-in for features that can be recognised
    features.cache.write(list(zip(keys, numbers, strict=True)))
    batches = FeatureBatches(features, pictures, [0, 1], labels, 10, seed=3)
    orders = []
    for _ in range(2):
        made = [batches[number] for number in range(len(batches))]
        rows, one_hot = map(np.concatenate, zip(*made, strict=True))
        order = rows[:, 0].astype(int).tolist()
        assert sorted(order) == list(range(len(keys)))
        for row, target in zip(order, one_hot, strict=True):
            assert target.tolist() == [label == pictures[row // 2].label for label in labels]
        orders.append(order)
        batches.on_epoch_end()
    assert orders[0] != orders[1] != sorted(orders[0])


def test_a_head_learns_and_is_the_same_again(
    filled: FeatureExtractor, pictures: list[Picture]
) -> None:
    def run(classes: int) -> tuple[keras.Model, dict[str, list[float]]]:
        labels = sorted(COLOURS)[:classes]
        chosen = [picture for picture in pictures if picture.label in labels]
        batches = FeatureBatches(filled, chosen, [0], labels, 8, seed=5)
        test = FeatureBatches(filled, chosen, [0], labels, 8)
        return train_head(batches, test, replace(SETTINGS, epochs=12, seed=5))

    head, history = run(3)
    assert head.output_shape == (None, 3)
    again, _ = run(3)
    for one, other in zip(head.get_weights(), again.get_weights(), strict=True):
        assert (one == other).all()
    # For two classes the tutorial's one column of labels would make the loss vanish at once.
    for found in (history, run(2)[1]):
        assert [len(values) for values in found.values()] == [12] * 4
        assert found["loss"][0] > 0.1
        assert found["val_accuracy"][-1] > 0.9


def test_training_path_and_prediction_path_agree(
    base: keras.Model, filled: FeatureExtractor, pictures: list[Picture]
) -> None:
    """Invariant: one image gives the same probabilities through both scripts' paths."""
    keras.utils.set_random_seed(0)
    head = build_head(FEATURES, 3, SETTINGS)
    keys = [filled.key(picture, 0) for picture in pictures]
    trained_on = head.predict(filled.cache.read(keys), verbose=0)
    engine = KerasEngine(assemble(base, head), 16)
    frames = [dataset.read_picture(picture)[..., ::-1] for picture in pictures]
    predicted = outputs(engine, [resize(frame, "crop", SIZE)[..., ::-1] for frame in frames])
    # The training features may have been computed in bfloat16, which has 8 significant bits.
    np.testing.assert_allclose(predicted, trained_on, rtol=0, atol=1e-2)
    assert np.std(trained_on, axis=0).max() > 0.01  # the pictures differ, so agreement says much


def test_a_stream_that_is_left_in_the_middle_does_not_disturb_the_next_one(
    model: keras.Model, copy: ov.Model
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, *model.input_shape[1:]), np.uint8)
    engine = OpenVINOEngine(copy.clone())
    expected = outputs(engine, images)
    for _ in range(3):
        left = engine.stream(enumerate(images))
        next(left)
        np.testing.assert_array_equal(outputs(engine, images), expected)


def small_model() -> keras.Model:
    """Return a model that adds and subtracts whole numbers: its outputs are exact in any order."""
    layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (16 * 16 * 3, 3))
    model.set_weights([signs, np.zeros(3)])
    return keras.Model(model.inputs[0], model.outputs[0])


def test_an_engine_for_one_image_answers_before_it_takes_the_next_image() -> None:
    model = small_model()
    for engine in (OpenVINOEngine(convert(model), 1), KerasEngine(model, 1)):
        items = iter([(n, None if n % 3 else np.zeros((16, 16, 3), np.uint8)) for n in range(6)])
        answers = [(n, row is None, length_hint(items)) for n, row in engine.stream(items)]
        assert answers == [(n, n % 3 > 0, 5 - n) for n in range(6)]


def test_keys_without_an_image_come_out_in_their_turn() -> None:
    model = small_model()
    images = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), np.uint8)
    items = [(number, None if number in (0, 3, 4, 5) else images[number]) for number in range(7)]
    for engine in (OpenVINOEngine(convert(model), 2), KerasEngine(model, 2)):
        expected = outputs(engine, images)
        np.testing.assert_array_equal(expected, model.predict(images, verbose=0))
        assert len(np.unique(expected, axis=0)) == len(images)  # one taken for another is noticed
        found = dict(engine.stream(items))
        assert list(found) == list(range(7))
        for number, image in items:
            wanted = None if image is None else expected[number]
            np.testing.assert_array_equal(found[number], wanted)


@pytest.mark.parametrize("base_name", ["resnet50", "efficientnet_lite2"])
def test_fragile_operations_stay_in_float(
    base_name: str, trained: Path, copy: ov.Model, pictures: list[Picture]
) -> None:
    """Every int8 operation reads from a FakeQuantize; the few that cost labels must not."""
    if base_name == "resnet50":
        quantized_copy = load_openvino_model(trained / "model/activity.xml")
    else:
        quantized_copy = quantize(
            copy.clone(), pictures, Settings(base=base_name, calibration_images=8)
        )
    quantized, in_float = Counter[str](), Counter[str]()
    for operation in quantized_copy.get_ordered_ops():
        kind = operation.get_type_name().removeprefix("Group")
        nodes = [value.get_source_output().get_node() for value in operation.inputs()]
        from_int8 = "FakeQuantize" in [node.get_type_name() for node in nodes]
        (quantized if from_int8 else in_float)[kind] += 1
    # The two behind ResNet50's stem, or the first three of EfficientNet-Lite2; the head's layers.
    expected = {"resnet50": (51, 2), "efficientnet_lite2": (61, 3)}[base_name]
    assert (quantized["Convolution"], in_float["Convolution"]) == expected
    assert (quantized["MatMul"], in_float["MatMul"]) == (0, 2)
    assert quantized["MaxPool"] == quantized["ReduceMean"] == 0


def test_an_openvino_copy_gives_the_models_outputs(model: keras.Model, copy: ov.Model) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *model.input_shape[1:]), np.uint8)
    expected = model.predict(images.astype(np.float32), verbose=0)
    copied = outputs(OpenVINOEngine(copy.clone()), images)
    np.testing.assert_allclose(copied, expected, atol=1e-2)  # bfloat16 has 8 significant bits
    assert np.std(expected, axis=0).max() > 1e-3


def test_the_temperature_of_a_head_divides_its_logits() -> None:
    keras.utils.set_random_seed(0)
    head = build_head(8, 3, SETTINGS)
    features = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    before = head.predict(features, verbose=0)
    scale_temperature(head, 0.25)
    expected = before.astype(float) ** 4
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict(features, verbose=0), expected, atol=1e-5)

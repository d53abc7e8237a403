"""The graphs of OpenVINO models of unknown origin, checked before OpenVINO's parser sees them."""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

MAX_XML = 2**21  # bytes; that of a ResNet50 in int8 has a sixth of them
MAX_LAYERS = 1_500  # twice those of a ResNet50; OpenVINO takes minutes for long chains of them

# What the models of `train.py` consist of, in int8 and float.
OPERATIONS = {
    ("Add", "opset1"),
    ("Concat", "opset1"),
    ("Const", "opset1"),
    ("Convert", "opset1"),
    ("Convolution", "opset1"),
    ("FakeQuantize", "opset1"),
    ("MatMul", "opset1"),
    ("MaxPool", "opset8"),
    ("Multiply", "opset1"),
    ("Pad", "opset1"),
    ("Parameter", "opset1"),
    ("ReLU", "opset1"),
    ("ReduceMean", "opset1"),
    ("Result", "opset1"),
    ("SoftMax", "opset8"),
    ("StridedSlice", "opset1"),
    ("Unsqueeze", "opset1"),
}
ITEM_SIZES = {"f32": 4, "f16": 2, "i8": 1, "i32": 4, "i64": 8}  # of the constants, in bytes


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        """Refuse what could define entities, and with them a text of any size."""
        raise ValueError("it has a DOCTYPE")


def parse(content: bytes) -> ElementTree.Element:
    """Parse XML. Raises `ValueError` or `ElementTree.ParseError`."""
    if len(content) > MAX_XML:
        raise ValueError(f"it has more than {MAX_XML} bytes")
    # As text, since bytes could ask for any of Python's codecs.
    return ElementTree.fromstring(
        content.decode(), parser=ElementTree.XMLParser(target=_WithoutDoctype())
    )


def rt_info(net: ElementTree.Element, keys: Sequence[str]) -> str:
    """Return a value that `openvino.Model.set_rt_info` has stored, or nothing."""
    element = net.find("/".join(["rt_info", *keys]))
    return "" if element is None else element.get("value", "")


def check_graph(net: ElementTree.Element, weights: int) -> None:
    """Raise `ValueError` for operations that `train.py` does not write, or constants outside of
    its weights, which are a file of so many bytes.
    """
    if net.get("version") != "11":
        raise ValueError(f"it has the version {net.get('version')}")
    layers = list(net.iter("layer"))
    if len(layers) > MAX_LAYERS:
        raise ValueError(f"it has {len(layers)} layers")
    for layer in layers:
        kind, version = layer.get("type"), layer.get("version")
        if (kind, version) not in OPERATIONS:
            raise ValueError(f"it asks for {version}.{kind}")
        if kind == "Const":
            _check_constant(layer, weights)


def _check_constant(layer: ElementTree.Element, weights: int) -> None:
    [data] = layer.findall("data")
    item = data.get("element_type", "")
    if item not in ITEM_SIZES:
        raise ValueError(f"it has constants of the type {item}")
    shape = [_whole_number(side) for side in data.get("shape", "").split(",") if side]
    offset, size = (_whole_number(data.get(name, "")) for name in ("offset", "size"))
    if math.prod(shape) * ITEM_SIZES[item] != size:
        raise ValueError(f"a constant of the shape {shape} has {size} bytes")
    if offset + size > weights:
        raise ValueError(f"a constant ends at byte {offset + size} of {weights}")


def _whole_number(text: str) -> int:
    if not re.fullmatch(r" ?[0-9]{1,18}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)

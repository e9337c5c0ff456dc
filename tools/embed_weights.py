"""Make the weights that the package ships from the file that torchvision publishes.

    python tools/embed_weights.py mobilenet_v2-b0353104.pth

The output is the same to the byte wherever it is made; NOTICE records both digests.
"""

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ORIGINAL = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
TARGET = Path("sklearn_pretrained/backbones/embedded/mobilenet_v2.safetensors")

source = Path(sys.argv[1])
found = hashlib.sha256(source.read_bytes()).hexdigest()
if found != ORIGINAL:
    sys.exit(f"{source} has SHA-256 {found}, and {ORIGINAL} is expected")
state = torch.load(source, map_location="cpu", weights_only=True)
save_file({name: tensor.contiguous() for name, tensor in state.items()}, TARGET, {"format": "pt"})
written = load_file(TARGET)
if written.keys() != state.keys() or not all(torch.equal(written[n], state[n]) for n in state):
    sys.exit("the tensors were not written exactly")
print(TARGET, hashlib.sha256(TARGET.read_bytes()).hexdigest())

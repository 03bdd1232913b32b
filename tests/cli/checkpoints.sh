# Checkpoints as training loops write them: which tensors are used is said, and which #KEY or prefix takes others.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import torch' 2> /dev/null || skip 'python3-torch is missing'
fake_backbone
mkdir -p photos/a && printf 'P5 2 2 255\n1234' > photos/a/a.pgm

"$PYTHON" -W ignore - "$WEIGHTS" << 'END'
import json
import struct
import sys

import torch

data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
types = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}
plain = {}
for name, entry in json.loads(data[8:8 + size]).items():
    if name != "__metadata__":
        first, last = (8 + size + at for at in entry["data_offsets"])
        plain[name] = torch.frombuffer(bytearray(data[first:last]), dtype=types[entry["dtype"]]).reshape(entry["shape"])
mean = {name: tensor + 1 for name, tensor in plain.items()}


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def lightning(state, callbacks=None, **others):
    return {"epoch": 4, "global_step": 125, "pytorch-lightning_version": "2.5.1", "state_dict": state,
            "loops": {"fit_loop": {"state_dict": {}, "epoch_loop.state_dict": {"_batches_that_stepped": 125}}},
            "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.9)}, **(callbacks or {})},
            "optimizer_states": [torch.optim.AdamW([torch.zeros(2)]).state_dict()], "lr_schedulers": [],
            "hparams_name": "kwargs", "hyper_parameters": {"lr": 1e-3}, **others}


for name, value in {
        "callback": lightning(under("net.", plain), {"EMACallback": {"ema_state_dict": under("net.", mean)}}),
        "quoted": lightning(under("net.", plain), {"EMA{'decay': 0.9}": {"ema_weights": under("net.", mean)}}),
        "averaging": lightning(under("model.", mean), averaging_state={"n_averaged": torch.tensor(9)},
                               current_model_state=under("model.", plain)),
        "compiled": lightning(under("model._orig_mod.", plain)),
        "dino": {"student": under("module.backbone.", plain), "teacher": under("backbone.", mean), "epoch": 3},
        "moco": {"state_dict": {**under("module.encoder_q.", plain), **under("module.encoder_k.", plain)}},
        "inside": {"run.7": {"best": {"weights": plain, "score": 0.5}}},
        "parts": {"state_dict": {**under("backbone.", {k: v for k, v in plain.items() if k[:3] != "fc."}),
                                 "fc.weight": torch.zeros(2, 128), "fc.bias": torch.zeros(2)}}}.items():
    torch.save(value, name + ".ckpt")
END

take() { expect 0 extract photos -o c.h5 --force --backbone resnet18_w16 --weights "$1" --resize 32 --crop 32; }
# same FILE KEY STATE: the tensors under the key are those of the sample, or not.
first() { dump_weights "$@" | grep 'conv1.weight' | head -n 1 | sed 's/.*conv1/conv1/'; }
is_plain() { checks=$((checks + 1)); [ "$(first "$@")" = "$(first "$WEIGHTS")" ] || failed "'$*' is not the plain copy"; }
is_mean() { checks=$((checks + 1)); [ "$(first "$@")" != "$(first "$WEIGHTS")" ] || failed "'$*' is the plain copy"; }

take callback.ckpt
stderr_has "an averaged copy lies inside, too: --weights 'callback.ckpt#callbacks.EMACallback.ema_state_dict' takes it"
stderr_has "the tensors under 'net.' are used"
is_plain callback.ckpt
is_mean callback.ckpt callbacks.EMACallback.ema_state_dict
take 'callback.ckpt#callbacks.EMACallback.ema_state_dict'
stderr_lacks 'averaged copy lies'
# Lightning puts quotes into such names; what is printed is what a shell takes.
take quoted.ckpt
word=$(sed -n 's/.*lies inside, too: --weights \(.*\) takes it$/\1/p' stderr)
eval "take $word"
stderr_lacks 'averaged copy lies'
is_mean quoted.ckpt "callbacks.EMA{'decay': 0.9}.ema_weights"
# Lightning's own WeightAveraging: state_dict is the mean.
take averaging.ckpt
stderr_has "the tensors under 'model.' are used"
is_mean averaging.ckpt
is_plain averaging.ckpt current_model_state
take 'averaging.ckpt#current_model_state'
take compiled.ckpt
take dino.ckpt
stderr_has "its entry 'teacher' is used; --weights FILE#KEY chooses another"
take 'dino.ckpt#student'
stderr_has "the tensors under 'backbone.' are used"
take parts.ckpt
stderr_has "the tensors under 'backbone.' are used"
expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights moco.ckpt
stderr_has "under 'encoder_q', 'encoder_k'. Hint: choose one with --weights FILE#KEY, for example 'moco.ckpt#encoder_q'"
take 'moco.ckpt#encoder_k'
expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights inside.ckpt
stderr_has "only further inside: 'run.7.best.weights'. Hint: choose one with --weights FILE#KEY, for example 'inside.ckpt#run.7.best.weights'"
take 'inside.ckpt#run.7.best.weights'
# Whoever moves the file is told its key, too.
expect 0 extract photos -o e.h5 --backbone resnet18_w16 --weights 'callback.ckpt#net' --resize 32 --crop 32 --tap avgpool
mv callback.ckpt moved.ckpt
expect 1 extract photos -o e.h5 --backbone resnet18_w16 --resize 32 --crop 32 --tap avgpool
stderr_has 'callback.ckpt#net' && stderr_has '--weights FILE#net, wherever it is now'
done_with

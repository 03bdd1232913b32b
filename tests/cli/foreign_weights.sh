# Files and folders that are no weights, or no network, each get a true word and a way on.
. "$(dirname "$0")/harness.sh"
fake_backbone
mkdir -p photos/cat && printf 'P5 2 2 255\n1234' > photos/cat/a.pgm

# as_weights, as_backbone FILE WORDS...
as_weights() {
  expect 1 extract photos -o c.h5 --backbone resnet18_w16 --weights "$1" -q
  shift; for words in "$@"; do stderr_has "$words"; done
  stderr_lacks damaged
}
as_backbone() {
  expect 1 extract photos -o c.h5 --backbone "./$1" -q
  shift; for words in "$@"; do stderr_has "$words"; done
}

# ---- files ----

: > empty.pt
as_weights empty.pt 'found: empty'
as_backbone empty.pt 'not a file with something in it'
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 44\n' > pointer.pt
printf '\n  <!DOCTYPE html>\n<html>' > page.pt
head -c 5000 /dev/zero > zeros.pt
printf '\010\011\022\007pytorch\032\0052.1.0:\200\001' > net_of_onnx.pt
printf '\037\213\010\000abcd' > packed.pt
printf 'BZh91AY&SY' > packed2.pt
for pair in 'pointer.pt:a Git LFS pointer' 'page.pt:a web page' 'zeros.pt:nothing but zeros' 'net_of_onnx.pt:a network of ONNX' \
  'packed.pt:gzip-compressed' 'packed2.pt:bzip2-compressed'; do
  as_weights "${pair%%:*}" "found: ${pair#*:}"
  as_backbone "${pair%%:*}" "is not a TorchScript file: it is ${pair#*:}"
done
echo 'Repository not found' > answer.pt
as_weights answer.pt "found: a text that begins 'Repository not found'"

"$PYTHON" - << 'END'
import pickle
import zipfile


def archive(name, **entries):
    with zipfile.ZipFile(name, "w") as file:
        for entry, data in entries.items():
            file.writestr(entry.replace("__", "/").replace("_DOT_", "."), data)


archive("first.pt2", serialized_exported_program_DOT_json="{}", version="5.1")
archive("net.pt2", net__models__model_DOT_json="{}", net__data__sample_inputs__model_DOT_pt=b"x/data.pkl x/constants.pkl")
archive("net.keras", config_DOT_json="{}", model_DOT_weights_DOT_h5="")
archive("arrays.npz", a_DOT_npy="")
archive("model.pth", model__data_DOT_pkl=b"\x80\x02ctorch.nn.modules.linear\nLinear\nq\x00)\x81.")
archive("holder.pth", holder__data_DOT_pkl=b"\x80\x02}q\x00X\x05\x00\x00\x00modelctorch.nn.modules.linear\nLinear\nq\x01)\x81s.")
archive("thing.pth", thing__data_DOT_pkl=b"\x80\x02cyolo.nn\nThing\nq\x00)\x81.")
archive("state.pth", state__data_DOT_pkl=b"\x80\x02}q\x00.")
# One dict without tensors, under many keys: each has so many entries, too.
entries = 300000
archive("many.pth", many__data_DOT_pkl=b"\x80\x02X\x01\x00\x00\x00aq\x010}q\x02(" + b"h\x01h\x01" * entries + b"u0}(" + b"h\x01h\x02" * entries + b"u.")
with open("plain.pth", "wb") as file:
    pickle.dump({"weight": 1}, file)
END
for file in first.pt2 net.pt2; do
  as_weights $file 'a program of torch.export (.pt2)' 'torch.jit.trace(p.module(), images)'
  as_backbone $file 'a program of torch.export (.pt2)' 'torch.save(p.state_dict'
done
for pair in 'net.keras:a model of Keras' 'arrays.npz:arrays of NumPy'; do
  as_weights "${pair%%:*}" "this is ${pair#*:}"
  as_backbone "${pair%%:*}" "it is ${pair#*:}"
done
as_weights model.pth "a pickled model (torch.save(model)) of the class 'torch.nn.modules.linear.Linear'" 'torch.save(model.state_dict()'
as_weights holder.pth 'a checkpoint that holds a pickled module' "asks for 'torch.nn.modules.linear.Linear'" "torch.save(c['state_dict']"
as_weights thing.pth "asks for 'yolo.nn.Thing'" 'save the tensors alone with torch.save(model.state_dict()'
as_backbone model.pth 'a pickled model' 'torch.jit.script(model)'
as_backbone state.pth 'weights without a network' '--weights FILE with --backbone NAME'
expect 1 timeout 20 extract photos -o c.h5 --backbone resnet18_w16 --weights many.pth -q
stderr_has 'hold no state_dict'
as_weights plain.pth 'a pickle, but not one that torch.save wrote'
as_backbone "$(basename "$WEIGHTS")" 'cannot open'
cp "$WEIGHTS" w.safetensors
as_backbone w.safetensors 'a .safetensors file: weights without a network'
# A name without a slash is a network's; where there is a file of that name, that is said.
expect 2 extract photos -o c.h5 --backbone w.safetensors
stderr_has "there is a file 'w.safetensors': --weights w.safetensors"
# A narrower network has layers of the same names; they are no prefixes.
expect 1 extract photos -o c.h5 --backbone resnet18 --weights w.safetensors
stderr_has 'Hint: these look like resnet18_w16 weights'
done_with

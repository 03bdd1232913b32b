# --backbone FILE.onnx: a network that runs, and files that are none, or not read: each is refused by
# what was expected and found, before anything is written.
. "$(dirname "$0")/harness.sh"
mkdir -p photos/cat photos/dog
printf 'P5 2 2 255\n1234' > photos/cat/a.pgm
printf 'P5 2 2 255\n4321' > photos/dog/b.pgm
"$PYTHON" -c 'import onnx' 2> /dev/null || skip 'no python3-onnx'
"$PYTHON" - << 'END'
import numpy as np
from onnx import TensorProto, helper, numpy_helper
import onnx

generator = np.random.default_rng(1)
WEIGHTS = {"w": generator.standard_normal((16, 3, 3, 3)).astype(np.float32),
           "a": generator.standard_normal((16, 4)).astype(np.float32), "b": np.ones(4, np.float32)}
NODES = [("Conv", ["x", "w"], ["/stem/conv"], {"pads": [1] * 4}), ("Relu", ["/stem/conv"], ["r"], {}),
         ("GlobalAveragePool", ["r"], ["p"], {}), ("Flatten", ["p"], ["f"], {}), ("Gemm", ["f", "a", "b"], ["y"], {})]


def node(row):
    made = helper.make_node(row[0], row[1], row[2], name="/" + row[2][0].strip("/") + "/node", **row[3])
    made.domain = row[4] if len(row) > 4 else ""
    return made


def write(name, nodes=NODES, shape=("n", 3, None, None), opset=13, weights=WEIGHTS, kind=TensorProto.FLOAT, change=None):
    graph = helper.make_graph([node(row) for row in nodes], "g", [helper.make_tensor_value_info("x", kind, shape)],
                              [helper.make_tensor_value_info(nodes[-1][2][0], TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, key) for key, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    if change:
        change(model.graph)
    with open(name, "wb") as file:
        file.write(model.SerializeToString())


def outside(location, offset="0", length="1728"):
    def change(graph):
        tensor = graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    return change


def dims(*sizes):
    def change(graph):
        del graph.initializer[0].dims[:]
        graph.initializer[0].dims.extend(sizes)
    return change


write("net.onnx")
write("other.onnx", weights=dict(WEIGHTS, b=np.zeros(4, np.float32)))
write("heads.onnx", NODES + [("Gemm", ["f", "a", "b"], ["z"], {})],
      change=lambda graph: graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None)))
write("fixed.onnx", shape=(1, 3, 32, 32))
write("flat.onnx", shape=(1, 3, 32, 16))
write("batch.onnx", shape=(4, 3, 32, 32))
write("grey.onnx", shape=("n", 1, 32, 32))
write("bytes.onnx", kind=TensorProto.UINT8)
write("vector.onnx", shape=("n", 3))
write("old.onnx", opset=9)
write("odd.onnx", NODES[:2] + [("LpPool", ["r"], ["odd"], {"kernel_shape": [2, 2]})])
write("several.onnx", NODES[:2] + [("LpPool", ["r"], ["o"], {"kernel_shape": [2, 2]}), ("Multinomial", ["o"], ["n"], {}),
                                   ("LpPool", ["n"], ["m"], {}), ("Relu", ["m"], ["y"], {})])
write("vendor.onnx", NODES[:1] + [("FusedConv", ["x", "w"], ["y"], {}, "com.microsoft")])
write("setting.onnx", [("Conv", ["x", "w"], ["y"], {"colour": 1})])
write("later.onnx", [("Relu", ["c"], ["r"], {}), ("Relu", ["r"], ["c"], {})])
write("missing.onnx", [("Conv", ["x", "nowhere"], ["y"], {})])
write("twice.onnx", NODES[:2] + [("Relu", ["r"], ["r"], {})])
write("misfit.onnx", NODES[:1] + [("Gemm", ["/stem/conv", "a", "b"], ["y"], {})])
write("mixed.onnx", NODES[:4] + [("Softmax", ["f"], ["y"], {"axis": 0})])
S = {"s": np.ones(3, np.float32)}
write("trained.onnx", [("BatchNormalization", list("xssss"), list("ymvab"), {})], weights=S, opset=12)
write("softmax.onnx", [("Softmax", ["x"], ["y"], {"axis": 1})], opset=12)
write("crop.onnx", [("Resize", ["x", "", "", "n"], ["y"], {"coordinate_transformation_mode": "tf_crop_and_resize"})],
      weights={"n": np.array([1, 3, 9, 9])})
write("reflect.onnx", [("Pad", ["x", "p"], ["y"], {"mode": "reflect"})], weights={"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])})
write("auto.onnx", [("Conv", ["x", "w"], ["y"], {"auto_pad": "SAME"})])
write("doubled.onnx", [("Concat", [f"c{i}" if i else "x"] * 64, [f"c{i + 1}"], {"axis": 1}) for i in range(12)])
write("expanded.onnx", [("Expand", ["x", "n"], ["y"], {})], weights={"n": np.array([1 << 40, 1 << 40, 1, 3, 1, 1])})
for name, location in (("up", "../w.bin"), ("root", "/etc/hostname"), ("winding", "a/../../w.bin"), ("gone", "w.bin")):
    write(f"{name}.onnx", change=outside(location))
write("short.onnx", change=outside("short.bin"))
write("behind.onnx", change=outside("short.bin", offset="1000000000000000000"))
write("pipe.onnx", change=outside("pipe"))
write("huge.onnx", change=dims(1 << 30, 1 << 30, 1 << 30, 1 << 30))
write("negative.onnx", change=dims(16, -3, 3, 3))
write("larger.onnx", change=dims(16, 3, 3, 4))
write("beside.onnx", change=outside("here/w.bin"))
open("short.bin", "wb").write(bytes(100))
import os
os.mkdir("here")
open("here/w.bin", "wb").write(WEIGHTS["w"].tobytes())
whole = open("net.onnx", "rb").read()
open("torn.onnx", "wb").write(whole[:len(whole) // 2])
END
mkfifo pipe
: > empty.onnx
echo '<html>' > page.onnx
echo 'weights are at https://example.org' > note.onnx

# ---- a network that runs, without libtorch ----

extract_onnx() { extract photos -o c.h5 --backbone "$1" --crop 32 -q; }
expect 0 extract --summary --backbone net.onnx --input 32
stdout_has 'stem.conv.node'
stdout_has 'Total params: 500'
expect 0 extract --summary --backbone net.onnx --input 32 --tap r
stdout_lacks Linear
# Of several outputs, what feeds each is listed; a new layer goes behind one.
expect 0 extract --summary --backbone heads.onnx --input 32
stdout_has 'Linear: 1-6'
stdout_has 'Total params: 568'
expect 0 extract --summary --backbone heads.onnx --input 32 --tap z
stdout_lacks 'Linear: 1-6'
expect 2 extract --summary --backbone heads.onnx --input 32 --classes 2
stderr_has "found several outputs of 'heads.onnx'. Hint: --tap with one of z,y"
expect 0 extract --summary --backbone heads.onnx --input 32 --classes 2 --tap y
expect 0 extract_onnx net.onnx
expect 0 extract --info c.h5
stdout_has onnx_sha256
stdout_has "$(sha256sum < net.onnx | cut -c1-12)"
expect 0 extract photos -o c.h5 --backbone net.onnx --crop 32 --tap /stem/conv/node
expect 4 extract_onnx other.onnx
stderr_has backbone.onnx_sha256
expect 0 extract photos -o d.h5 --backbone beside.onnx --crop 32 -q
cp here/w.bin w.kept
printf '\1' | dd of=here/w.bin conv=notrunc 2> /dev/null
expect 4 extract photos -o d.h5 --backbone beside.onnx --crop 32 -q
expect 0 extract photos -o e.h5 --backbone fixed.onnx -q
expect 2 train c.h5 -q --tap y --finetune r -o m.safetensors --weights random:0
stderr_has 'belongs to an ONNX file, which brings its own'
expect 4 train c.h5 -q --tap y --finetune r -o m.safetensors --backbone other.onnx
expect 2 train c.h5 -q --tap y --finetune y -o m.safetensors
stderr_has "its input is needed, tap 'f'"

# ---- refused ----

refused() { # CODE FILE WORDS...
  expect "$1" extract photos -o no.h5 --backbone "$2" -q
  shift 2; for words in "$@"; do stderr_has "$words"; done
  absent no.h5
}
expect 2 extract photos -o no.h5 --backbone net.onnx --weights random:0
stderr_has 'brings its own'
expect 2 extract photos -o no.h5 --backbone net.onnx --tap nothing
stderr_has "net.onnx has no tap 'nothing'"
stderr_lacks layer3
expect 2 extract photos -o no.h5 --backbone net.onnx --tap /stem/convs
stderr_has "Did you mean /stem/conv?"
expect 2 extract --summary --backbone net.onnx --tap /stem/convs
stderr_has "Did you mean /stem/conv?"
expect 2 extract photos -o no.h5 --backbone net.onnx --tap w
stderr_has "a value of that name, but it is a constant"
# A command that is named can be run as it is.
mkdir 'two words'
cp net.onnx 'two words/a name of more than thirty characters.onnx'
for tap in nothing w; do
  expect 2 extract photos -o no.h5 --backbone 'two words/a name of more than thirty characters.onnx' --tap $tap
  stderr_has "extract --summary --backbone 'two words/a name of more than thirty characters.onnx'"
done
expect 2 extract photos -o no.h5 --backbone fixed.onnx --crop 64
stderr_has 'is for images of 32x32, found 64'
refused 1 none.onnx none.onnx
refused 1 empty.onnx 'is empty'
refused 1 page.onnx 'a web page'
refused 1 note.onnx "'note.onnx' is not an ONNX file: it is text"
refused 1 torn.onnx "'torn.onnx' is not a whole ONNX file" Hint
refused 1 flat.onnx 'expected a network for square images, found one for 32x16'
refused 1 batch.onnx 'found one for 4 at a time' dynamic_axes
refused 1 grey.onnx 'found (0, 1, 32, 32)' --mean
refused 1 bytes.onnx 'found uint8'
refused 1 vector.onnx 'found 2 axes'
refused 1 old.onnx 'opset 11 to 21, found 9' opset_version
refused 1 odd.onnx "node '/odd/node' (LpPool, opset 13)" 'FILE.pt'
refused 1 several.onnx "node '/o/node' (LpPool, opset 13)" 'in it: LpPool 2, Multinomial 1. Hint'
refused 1 vendor.onnx 'com.microsoft::FusedConv'
refused 1 setting.onnx "its attribute 'colour' is not read"
refused 1 later.onnx "found 'c', which does not come from before"
refused 1 missing.onnx "found 'nowhere'"
refused 1 twice.onnx "found 'r', which comes from elsewhere, too"
refused 1 misfit.onnx "node '/y/node' (Gemm, opset 13)"
refused 1 mixed.onnx 'the axis of the batch'
refused 1 trained.onnx 'as it is outside of training' 'model.eval()'
refused 1 softmax.onnx 'expected the last axis. Hint: export with opset 13'
refused 1 crop.onnx "its coordinate_transformation_mode 'tf_crop_and_resize' is not read"
refused 1 reflect.onnx "expected the mode 'constant', found 'reflect'"
refused 1 auto.onnx "its auto_pad 'SAME' is not read"
refused 1 doubled.onnx 'expected values of at most 1099511627776 numbers'
refused 1 expanded.onnx 'expected shapes of at most 1099511627776 numbers'
refused 1 up.onnx "found the path '../w.bin'"
refused 1 root.onnx "found the path '/etc/hostname'"
refused 1 winding.onnx "found the path 'a/../../w.bin'"
refused 1 gone.onnx "tensor 'w'" 'w.bin'
refused 1 short.onnx 'expected 1728 bytes from byte 0' 'found a file of 100'
refused 1 behind.onnx "from byte 1000000000000000000 of 'short.bin' on"
refused 1 pipe.onnx 'named pipe'
refused 1 huge.onnx "tensor 'w': expected sizes of axes"
refused 1 negative.onnx 'found -3'
refused 1 larger.onnx 'expected 2304 bytes, found 1728'
done_with

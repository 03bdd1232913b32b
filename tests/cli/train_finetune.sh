# Fine-tuning: a suffix of the network learns with the head, without libtorch here.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 8 4
expect 0 extract_sample photos -o c.h5 --tap avgpool,layer3
tune() { train c.h5 --finetune layer4 --epochs 12 --lr 0.05 "$@"; }

expect 0 tune -o tuned.safetensors --json tuned.json
stderr_has "tap 'layer3' (3)"
stderr_has "fine-tuning 'layer4' up to 'avgpool'"
stderr_has 'lr 0.05, batch norm frozen; fake'
stderr_has 'fine-tuning: waiting for maps'
for word in '"node":	"layer4"' '"cut":	"layer3"' '"tap":	"avgpool"' '"batch_norm":	"frozen"' '"backward":'; do
  checks=$((checks + 1)); grep -qF "$word" tuned.json || failed "the result lacks $word"
done
for word in fake.weight fake.running_mean fc.weight '\"finetune\"'; do
  checks=$((checks + 1)); grep -aqF "$word" tuned.safetensors || failed "the model lacks $word"
done

# Where the network's own classifier learns too, the head behind it has names of its own.
for head in linear mlp:4; do
  module=fc; [ $head = linear ] || module=fc.0
  expect 0 env FAKE_SUFFIX_MODULE=$module train c.h5 --finetune layer4 --epochs 2 --head $head -o behind.safetensors
  grep -aqF "\"$module.weight" behind.safetensors && grep -aqF '"permafrost_head.' behind.safetensors ||
    failed 'the head has the names of the classifier'
  expect 0 predict --info behind.safetensors
done
expect 0 env FAKE_SUFFIX_MODULE=fc.0 predict behind.safetensors c.h5

# It is the suffix that learns: with a rate of 0 it stays as it was, and the head does worse.
loss() { awk -F: '/"train_loss"/ && ++n == 12 { value = $2 } END { gsub(/[ ,\t]/, "", value); print value }' "$1"; }
expect 0 tune --backbone-lr 0 --json frozen.json -o frozen.safetensors
awk "BEGIN { exit !($(loss tuned.json) < $(loss frozen.json)) }" || failed 'a frozen suffix does as well'
expect 0 train c.h5 --tap avgpool --normalize none --epochs 12 --lr 0.05 --weight-decay 0.01 --json head.json -q
[ "$(loss head.json)" = "$(loss frozen.json)" ] || failed 'a frozen suffix is not the head alone'

# The same again, on any number of threads; alone as in a sweep.
expect 0 tune -o again.safetensors --threads 1 -q
same_head tuned.safetensors again.safetensors || failed 'one thread gives another model'
expect 0 tune --sweep backbone-lr=0,0.05 --csv sweep.csv -o best.safetensors
stderr_has '2 heads: 2 of backbone-lr'
[ "$(wc -l < sweep.csv)" -eq 3 ] || failed 'a line for each'
expect 0 tune --folds 2 --seeds 2
stderr_has '4 heads: 2 folds x 2 seeds'
# --calibrate without val rows is refused before the first epoch.
expect 2 tune --folds 2 --calibrate
stderr_has '--calibrate with --finetune needs rows for validation, and no --folds'
stderr_lacks 'epoch'

# Rows out of fold are visited without a trace: the model is the winner's, and so are its test rows.
expect 0 tune --folds 3 -o winner.safetensors
expect 0 tune --folds 3 -o visited.safetensors --predictions visited.csv
same_head winner.safetensors visited.safetensors || failed 'the model has the network of a fold'

# Points by name: five names for ten numbers. A head of other points is no beginning.
{ echo "path,$(for point in a b c d e; do printf '%s_x,%s_y,' $point $point; done)"
  (cd photos && find . -name '*.jpg' | sort) | while read -r path; do echo "$path,1,2,3,4,5,6,7,8,9,10,"; done; } |
  sed 's/,$//' > photos/points.csv
expect 0 extract_sample photos/points.csv -o five.h5 --tap avgpool,layer3 --target p:keypoints=a_x,a_y,b_x,b_y,c_x,c_y,d_x,d_y,e_x,e_y
expect 0 extract_sample photos/points.csv -o two.h5 --tap avgpool,layer3 --target p:keypoints=a_x,a_y,b_x,b_y
expect 0 train five.h5 --tap avgpool --target p -o five.safetensors --epochs 2 --no-search
expect 0 predict five.safetensors five.h5
expect 0 train two.h5 --tap avgpool --target p -o two.safetensors --epochs 2 --no-search
for pair in 'two five' 'five two'; do
  # shellcheck disable=SC2086
  set -- $pair
  expect 1 train $1.h5 --finetune layer4 --target p --epochs 1 --init $2.safetensors
  stderr_has "the head of '$2.safetensors' is for other targets"
done
expect 0 train five.h5 --finetune layer4 --target p --epochs 1 --init five.safetensors

# A head that learned alone first begins where that one ended.
first_loss() { awk -F: '/"train_loss"/ { gsub(/[ ,\t]/, "", $2); print $2; exit }' "$1"; }
best_loss() { awk -F: '/"best"/ { inside = 1 } inside && /"train_loss"/ { gsub(/[ ,\t]/, "", $2); print $2; exit }' "$1"; }
expect 0 tune --warm-head --json warm.json -o warm.safetensors
stderr_has ', after a head alone'
expect 0 train c.h5 --no-search --tap avgpool --json alone.json -q
awk "BEGIN { d = $(first_loss warm.json) - $(best_loss alone.json); exit !(d * d < 0.01 * 0.01) }" ||
  failed "warm: $(first_loss warm.json), alone: $(best_loss alone.json)"
awk "BEGIN { exit !($(first_loss warm.json) < $(first_loss tuned.json) - 0.03) }" || failed 'the head does not begin warm'

# A head of before: begins where its model ended, also for numbers in their own units.
expect 0 train c.h5 --no-search --tap avgpool -o alone.safetensors -q
expect 0 tune --init alone.safetensors --json init.json
awk "BEGIN { d = $(first_loss init.json) - $(best_loss alone.json); exit !(d * d < 0.01 * 0.01) }" ||
  failed "init: $(first_loss init.json), alone: $(best_loss alone.json)"
expect 0 tune --init tuned.safetensors --lr 0.000001 --json more.json
expect 1 tune --init alone.safetensors --head mlp:4
stderr_has 'is linear on 3 features, here it is mlp:4'
expect 2 tune --init alone.safetensors --warm-head
stderr_has 'choose one'
"$PYTHON" -c '
data = bytearray(open("alone.safetensors", "rb").read())
data[-2] ^= 0x10
open("damaged.safetensors", "wb").write(data)'
expect 1 tune --init damaged.safetensors
stderr_has "model 'damaged.safetensors' is damaged"
expect 1 tune --init c.h5
# What a model has learned before the node is not left out.
"$PYTHON" -c '
import json
data = open("tuned.safetensors", "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header, body = json.loads(data[8:end]), data[end:]
made = json.loads(header["__metadata__"]["permafrost"])
made.pop("digest", None)
made["finetune"].update(node="layer3", tensors=made["finetune"]["tensors"] + ["layer3.weight"])
header["__metadata__"]["permafrost"] = json.dumps(made)
header["layer3.weight"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(body), len(body) + 4]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("deeper.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + body + bytes(4))'
expect 1 tune --init deeper.safetensors
stderr_has "--init: model 'deeper.safetensors' has learned 'layer3.weight', which is before 'layer4'"
stderr_has 'Hint: --finetune layer3'

# Killed in any epoch, --resume ends with the same model; three steps an epoch.
long() { tune --batch 8 --schedule cosine --warm-head -q "$@"; }
expect 0 long -o whole.safetensors
absent whole.safetensors.checkpoint
for step in 1 3 4 17 36; do
  rm -f killed.safetensors
  expect 137 env FAKE_SUFFIX_DIE_AT=$step train c.h5 --finetune layer4 --epochs 12 --lr 0.05 --batch 8 \
    --schedule cosine --warm-head -q -o killed.safetensors
  absent killed.safetensors
  expect 0 long -o killed.safetensors --resume
  same_head whole.safetensors killed.safetensors || failed "killed at step $step: another model"
  absent killed.safetensors.checkpoint
done
die() { FAKE_SUFFIX_DIE_AT=20 tune --batch 8 -o other.safetensors; }
( die ) > die.log 2>&1 || :
expect 0 tune --batch 8 -o other.safetensors --resume
stderr_has 'going on after epoch 6'
absent other.safetensors.checkpoint
rm other.safetensors
( die ) > die.log 2>&1 || :
exists other.safetensors.checkpoint
for word in '\"version\":2' '\"optimizer\":\"adamw\"' '\"schedule\":\"constant\"' '\"sampling\":\"shuffle\"' '[\"relu\",\"none\",0]'; do
  checks=$((checks + 1)); grep -aqF "$word" other.safetensors.checkpoint || failed "the checkpoint lacks $word"
done
# A difference is named by its option; nothing is begun anew unless that is said.
cp other.safetensors.checkpoint kept.checkpoint
expect 4 tune --batch 8 --lr 0.04 --head mlp:4 -o other.safetensors
stderr_has 'is of another run: '
stderr_has '--lr was 0.05 and is 0.04'
stderr_has '--head was linear and is mlp:4'
stderr_has '--force begins anew'
expect 4 train c.h5 --tap avgpool -o other.safetensors
stderr_has '--finetune was layer4 and is default'
cmp kept.checkpoint other.safetensors.checkpoint || failed 'the checkpoint was touched'
# More epochs go on, unless the schedule of fewer would have been another; fewer do not.
expect 0 tune --batch 8 --epochs 15 --json more.json -o other.safetensors
stderr_has 'going on after epoch 6'
expect 0 tune --batch 8 --epochs 15 --json straight.json -o straight.safetensors
"$PYTHON" -c '
import json
more, straight = (json.load(open(name)) for name in ("more.json", "straight.json"))
assert more["epochs"] == straight["epochs"] and len(more["epochs"]) == 15
assert more["val"] == straight["val"]
' || failed 'more epochs after a kill are not what as many in one go are'
rm other.safetensors
cp kept.checkpoint other.safetensors.checkpoint
expect 4 tune --batch 8 --epochs 9 -o other.safetensors
stderr_has '--epochs was 12 and is 9'
# A finished run goes on, too, where its checkpoint was kept.
expect 0 tune --batch 8 --keep-checkpoint -o other.safetensors
exists other.safetensors.checkpoint
expect 0 tune --batch 8 --epochs 15 --json more.json -o other.safetensors
stderr_has 'going on after epoch 12'
"$PYTHON" -c '
import json
more, straight = (json.load(open(name)) for name in ("more.json", "straight.json"))
assert more["epochs"] == straight["epochs"], "epochs"
' || failed 'a finished run that goes on is another one'
absent other.safetensors.checkpoint
# So does one in which nothing was said of epochs, also where an older version wrote it.
untold() { train c.h5 --finetune layer4 --lr 0.05 --batch 8 "$@"; }
expect 0 untold --keep-checkpoint -o untold.safetensors
expect 0 untold --epochs 15 --json more.json -o untold.safetensors
stderr_has 'going on after epoch 10'
stderr_has 'untold.safetensors is of another run: '
stderr_lacks 'made anew'
"$PYTHON" -c '
import json
more, straight = (json.load(open(name)) for name in ("more.json", "straight.json"))
assert more["epochs"] == straight["epochs"], "epochs"
' || failed 'a run of untold epochs that goes on is another one'
expect 0 untold --epochs 15 --lr 0.04 -o untold.safetensors
stderr_has 'untold.safetensors is of another run, and is made anew: '
rm untold.safetensors
expect 137 env FAKE_SUFFIX_DIE_AT=20 train c.h5 --finetune layer4 --lr 0.05 --batch 8 -o untold.safetensors
"$PYTHON" -c '
data = open("untold.safetensors.checkpoint", "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header = data[8:end].replace(rb"\"epochs\":10,", rb"\"epochs\":0,")
assert header != data[8:end]
header += b" " * (-len(header) % 8)
open("untold.safetensors.checkpoint", "wb").write(len(header).to_bytes(8, "little") + header + data[end:])'
expect 0 untold -o untold.safetensors
stderr_has 'going on after epoch 6'
# The same command, cache and model: nothing to do, and nothing is touched.
touch -d '2001-01-01' other.safetensors
cp -p other.safetensors kept.safetensors
expect 0 tune --batch 8 --epochs 15 --json more.json -o other.safetensors
stderr_has 'other.safetensors: up to date, nothing to train'
[ "$(wc -l < stderr)" -eq 1 ] || failed 'more than a line'
cmp kept.safetensors other.safetensors || failed 'touched'
[ ! other.safetensors -nt kept.safetensors ] || failed 'its date changed'
expect 0 tune --batch 8 --epochs 15 -o other.safetensors --force
stderr_has 'model: other.safetensors'
[ other.safetensors -nt kept.safetensors ] || failed '--force trains'
rm other.safetensors
cp kept.checkpoint other.safetensors.checkpoint
printf 'x' | dd of=other.safetensors.checkpoint bs=1 seek=3 conv=notrunc 2> dd.log
expect 1 tune --batch 8 -o other.safetensors --resume
expect 1 tune --batch 8 -o other.safetensors
expect 0 tune --batch 8 -o other.safetensors --force
stderr_has 'starting over'
expect 2 tune --resume
stderr_has 'needs -o'
expect 2 tune --resume --seeds 2 -o other.safetensors
stderr_has 'not with a sweep'

# Focal loss is learned here too, and a run of it that was killed goes on, with its own gamma only.
focal() { tune --batch 8 --loss focal:1.5 -q "$@"; }
expect 0 focal -o focal.safetensors --json focal.json
for word in '"loss":	"focal"' '"focal_gamma":	1.5'; do
  checks=$((checks + 1)); grep -qF "$word" focal.json || failed "the result lacks $word"
done
expect 137 env FAKE_SUFFIX_DIE_AT=20 train c.h5 --finetune layer4 --epochs 12 --lr 0.05 --batch 8 \
  --loss focal:1.5 -q -o focal2.safetensors
for word in '\"loss\":\"focal\"' '\"loss_parameter\":1.5'; do
  checks=$((checks + 1)); grep -aqF "$word" focal2.safetensors.checkpoint || failed "the checkpoint lacks $word"
done
expect 4 tune --batch 8 --loss focal -o focal2.safetensors --resume
stderr_has 'is of another run'
expect 0 focal -o focal2.safetensors --resume
same_head focal.safetensors focal2.safetensors || failed 'focal loss, killed and resumed: another model'
expect 2 tune --loss focus
stderr_has "found 'focus'"

# Batch norm's statistics move only where they are asked to.
expect 0 tune --batch-norm learn -o learning.safetensors
stderr_has 'batch norm learning'
expect 0 tune --backbone-lr 0 --batch-norm learn -o moved.safetensors -q
same_head moved.safetensors frozen.safetensors && failed 'the statistics did not move'

# predict runs the fine-tuned part on the rows of the cut, and takes no other features for its own.
expect 0 predict tuned.safetensors c.h5
stderr_has "'layer4' on from tap 'layer3' of 'c.h5'"
[ "$(wc -l < stdout)" -eq 37 ] || failed 'a line for every row'
right=$(awk -F, 'NR > 1 { split($1, part, "/"); right += part[1] == "val" && part[2] == $2 } END { print right / 12 }' stdout)
stated=$(awk -F: '/"best"/ { inside = 1 } inside && /"val_accuracy"/ { print $2 + 0; exit }' tuned.json)
awk "BEGIN { d = $right - $stated; exit !(d * d < 1e-8) }" || failed "predict is right in $right, train said $stated"
cp stdout with_suffix.csv
# The rows that --predictions lists are those that the model file predicts.
expect 0 tune --predictions tuned.csv -q
expect 0 predict tuned.safetensors c.h5 --evaluate -q
awk -F, '$5 == "val" { print $1 "," $4 "," $2 }' stdout > wanted.rows
awk -F, 'NR > 1 { print $1 "," $3 "," $4 }' tuned.csv > found.rows
[ "$(wc -l < found.rows)" -eq 12 ] && cmp -s wanted.rows found.rows || failed '--predictions of a fine-tuning'
expect 2 predict tuned.safetensors c.h5 --device cpu,cpu
stderr_has 'rows of a cache go through one device'
stdout_empty
expect 0 predict frozen.safetensors c.h5
cmp -s stdout with_suffix.csv && failed 'the fine-tuned tensors make no difference'
expect 0 extract_sample photos -o pooled.h5 --tap avgpool
expect 1 predict tuned.safetensors pooled.h5
stderr_has "needs tap 'layer3'"

# Pixels, which no network is needed for; beside other taps they are the same, and other taps too.
expect 0 env PERMAFROST_PLUGIN=/nonexistent extract photos -o pixels.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap input
stderr_has 'tap input (3,96,96) u8'
expect 0 extract --verify photos pixels.h5
expect 0 extract_sample photos -o pixels.h5 --tap avgpool
stderr_has '36 lack avgpool'
expect 0 extract_sample photos -o both.h5 --tap input,avgpool
same_cache pixels.h5 both.h5
expect 0 extract_sample photos -o other.h5 --tap avgpool
expect 0 extract_sample photos -o other.h5 --tap input
rm both.h5
expect 0 extract_sample photos -o both.h5 --tap avgpool,input
same_cache other.h5 both.h5
expect 0 train pixels.h5 --tap input --epochs 2

# What a cache lacks is named, and how to add it.
expect 2 train c.h5 --finetune layer3
stderr_has "tap 'layer2'"
stderr_has "--tap layer2' adds it"
expect 2 train c.h5 --finetune all
stderr_has "tap 'input'"
expect 2 train c.h5 --finetune layer9
stderr_has "no tap 'layer9'"
expect 2 train c.h5 --finetune layer4 --tap layer2
stderr_has 'does not lie behind'
cp "$WEIGHTS" other.safetensors
printf '\377' | dd of=other.safetensors bs=1 seek=100000 conv=notrunc 2> dd.log
expect 4 train c.h5 --finetune layer4 --weights other.safetensors
stderr_has 'of other weights'
expect 2 train c.h5 --finetune layer4 --backbone net.pt
stderr_has '--weights'

# What contradicts itself.
expect 2 train c.h5 --finetune layer4 --optimizer lbfgs
stderr_has 'constant features'
expect 2 train c.h5 --finetune layer4 --normalize l2
stderr_has '--warm-head'
expect 2 train c.h5 --finetune layer4 --tap all
expect 2 train c.h5 --backbone-lr 1
stderr_has '--backbone-lr belongs to --finetune'
expect 2 train c.h5 --batch-norm learn
stderr_has '--batch-norm belongs to --finetune'
done_with

# Runs of train on small caches: what it says, writes and leaves behind.
. "$(dirname "$0")/harness.sh"

make_cache plain.h5
make_cache own.h5 val test resnet
make_cache vgg.h5 val vgg
make_cache taps.h5 val taps

# The usual run.
expect 0 train own.h5 --no-search -o model.safetensors --json result.json
exists model.safetensors
stderr_has "own.h5: tap 'avgpool' (16), target 'class' with 4 classes; rows: 240 train, 100 val, 60 test"
stderr_has 'linear head 16 -> 4: adamw, lr 0.001 constant, weight decay 0.1'
# What came out is the result, on stdout; the rest is progress.
stdout_has 'true \ predicted'
stdout_has '  accuracy            1.0000   1.0000 [0.963, 1.000]   1.0000 [0.940, 1.000]'
stdout_has '[in brackets: 95 % intervals]'
stdout_has '3 Käfer '
stderr_lacks '[in brackets'
stdout_lacks 'linear head'
awk 'length > 80 { exit 1 }' stdout || failed 'a line of the table has more than 80 columns'
stderr_has 'val accuracy 1.0000, test accuracy 1.0000, epoch'
grep -q '^ *[0-9]* .* best, kept$' stderr || failed 'the epoch that was kept is not marked'
stderr_has 'model: model.safetensors'
stderr_lacks 'warning'
best=$(sed -n 's/^ *\([0-9]*\) .* best, kept$/\1/p' stderr)
stderr_has "epoch $best of "
# Something else on stdout: the table goes to stderr. -q: nowhere.
for option in '--json -' '--csv -' '--json /dev/stdout'; do
  expect 0 train own.h5 --epochs 3 $option
  stdout_lacks '[in brackets'
  stderr_has '[in brackets'
done
expect 0 train own.h5 --epochs 3 -q
stdout_empty; stderr_empty
# Both streams in one pipe keep the order; a narrow terminal folds.
expect 0 sh -c 'train own.h5 --epochs 3 2>&1'
[ "$(tail -n 1 stdout | cut -d, -f1)" = "$(grep '^val accuracy' stdout | cut -d, -f1)" ] || failed 'the last line is not the last'
expect 0 env PF_FAKE_TERMINAL=1 COLUMNS=40 train own.h5 --no-search --epochs 3
stdout_has '    test  0.0333 ['
sed '/by class/,/^  val.*predicted/d' stdout | awk 'length > 40 { exit 1 }' || failed 'more than 40 columns'
[ "$(wc -l < stderr)" -lt 60 ] || failed 'too many lines'

# JSON alone on stdout; -q says nothing else.
expect 0 train own.h5 --no-search -q --json - --epochs 3
stderr_lacks "epoch"
stdout_has '"best":'
[ "$(grep -c '"train_loss":' stdout)" -eq 4 ] || failed 'three epochs and the best'
expect 0 train own.h5 --no-search -v --epochs 37
[ "$(grep -cE '^ +[0-9]+ +0\.001 ' stderr)" -eq 38 ] || failed '-v shows every epoch'

# Where the cache has no val part, one is chosen by hash; the same on every run.
expect 0 train plain.h5 --no-search --json first.json --epochs 5
stderr_has 'by hash of the paths'
expect 0 train plain.h5 --no-search --json second.json --epochs 5 --threads 1
grep -v 'created\|"command"\|seconds\|"load"\|"total"\|"train":	[0-9]' first.json > first
grep -v 'created\|"command"\|seconds\|"load"\|"total"\|"train":	[0-9]' second.json > second
cmp first second || failed 'one thread gives another result'
expect 0 train plain.h5 --no-search --val 0 --epochs 5
stderr_has 'no rows for validation'
stderr_has ', 0 val, 0 test'
expect 2 train own.h5 --no-search --val 0.3
stderr_has 'a val part of its own'

# The same head, to the last bit, whatever the number of threads.
for threads in 1 2 7; do
  expect 0 train own.h5 --no-search -o model$threads.safetensors --threads $threads --epochs 20
done
same_head model1.safetensors model2.safetensors || failed '2 threads give another model'
same_head model1.safetensors model7.safetensors || failed '7 threads give another model'

# Weight names follow the backbone.
grep -q '"fc.weight"' model.safetensors || failed 'resnet: no fc.weight'
expect 0 train vgg.h5 --no-search -o vgg.safetensors --epochs 2
grep -q '"classifier.weight"' vgg.safetensors || failed 'vgg: no classifier.weight'
expect 0 train plain.h5 --no-search -o plain.safetensors --epochs 2
grep -q '"head.weight"' plain.safetensors || failed 'unknown backbone: no head.weight'
stderr_has 'predict can use this model on caches only'

# Taps: the last that is no map, unless one is named.
expect 0 train taps.h5 --no-search --epochs 5
stderr_has "tap 'noise' (16)"
expect 0 train taps.h5 --no-search --tap layer3 --epochs 5
stderr_has "tap 'layer3' (2,3,3)"
stderr_has 'linear head 18 -> 4'
expect 2 train taps.h5 --no-search --tap avgpol
stderr_has 'avgpool'
expect 0 train taps.h5 --no-search --target class --tap avgpool --epochs 5
expect 2 train taps.h5 --no-search --target klass
stderr_has 'it has: class'

# Every optimiser, schedule and normalisation learns this.
for optimizer in adam adamw sgd; do
  expect 0 train own.h5 --optimizer $optimizer --assert 'test.accuracy>=0.99' --epochs 100
done
for normalize in none standardize l2; do
  expect 0 train own.h5 --normalize $normalize --schedule cosine --lr 0.01 --assert 'val.accuracy>=0.99'
done
expect 0 train own.h5 --optimizer sgd --momentum 0.5 --schedule step:5,0.1 --weight-decay 1e-4 --seed 7
stderr_has 'sgd, lr 0.01 step:5,0.1, weight decay 0.0001, momentum 0.5'

# Every number of the result can be a condition, also the ends of intervals.
expect 0 train own.h5 --assert 'val.roc_auc>=0.99' --assert 'test.intervals.accuracy.0>=0.9' \
  --assert 'val.balanced_accuracy>=0.99' --assert 'val.calibration_error<=0.2'
expect 2 train own.h5 --no-search --assert 'val.top5_accuracy>=0.9' # four classes have none
stderr_has "there is no 'top5_accuracy' among rows, loss, accuracy, balanced_accuracy"

# Conditions: without them met there is no model, but a JSON to look into.
expect 5 train own.h5 --no-search -o no.safetensors --json why.json --assert 'val.accuracy>=0.5' --assert 'val.loss<=0'
stderr_has 'not met: val.loss<=0'
absent no.safetensors
exists why.json
expect 2 train own.h5 --no-search -o no.safetensors --assert 'val.acuracy>=0.5'
stderr_has "there is no 'acuracy' among rows, loss, accuracy"
absent no.safetensors

# Names are looked up before the training, deeper ones when it is done.
for wrong in 'val.acuracy>=0.5' 'vall.accuracy>=0.5' 'val.mae<=1' 'train.class.acuracy>=0'; do
  expect 2 train own.h5 --assert "$wrong"
  stderr_has 'the result will have no '
  stderr_lacks 'linear head'
done
expect 2 train own.h5 --loss sighs=focal
stderr_has "names target 'sighs', which is not among those of 'own.h5'"
stderr_lacks 'in memory'
expect 0 train own.h5 --no-search -q --epochs 3 --assert 'val.classes.0.f1>=0' --assert 'epochs.2.val_loss<=99'
expect 2 train own.h5 --no-search -q --epochs 3 --assert 'val.classes.9.f1>=0'

# A terminal gets no escape codes where there is none, and NO_COLOR nowhere colour.
expect 0 env PF_FAKE_TERMINAL=1 NO_COLOR=1 train own.h5 --epochs 3
! grep -q "$(printf '\033')\[3" stderr || failed 'colour in spite of NO_COLOR'

# Ctrl-C: what was there stays, nothing else appears.
cp model.safetensors kept.safetensors
train own.h5 --no-search -o kept.safetensors --epochs 1000000 2> stderr & pid=$!
command='train, interrupted'
sleep 1
kill -INT $pid
code=0
wait $pid || code=$?
[ "$code" -eq 130 ] || failed 'expected exit code 130'
stderr_has 'interrupted at step'
cmp -s model.safetensors kept.safetensors || failed 'the old model is gone'
no_leftovers
done_with

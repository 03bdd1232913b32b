# Many heads at once, targets of several kinds, and the optimum.
. "$(dirname "$0")/harness.sh"

make_cache own.h5 val test hard numbers
make_cache taps.h5 val taps

# A number of the result JSON, by a path as --assert takes it.
number() {
  awk -v key="\"$2\":" '$1 == key { gsub(",", "", $2); print $2; exit }' "$1"
}

# A head of a sweep equals the same head trained alone, whatever is beside it.
expect 0 train own.h5 --target class --epochs 12 --sweep lr=1e-3,1e-2,1e-1 --sweep head=linear,mlp:16 \
  --csv sweep.csv --json sweep.json -o best.safetensors
stderr_has '6 heads: 3 of lr x 2 of head'
stdout_has ' rank  val accuracy'
stderr_has '(6 heads)'
[ "$(wc -l < sweep.csv)" -eq 7 ] || failed 'a line a head'
for lr in 0.001 0.01 0.1; do
  for head in linear mlp:16; do
    expect 0 train own.h5 --target class --epochs 12 --lr $lr --head $head -q --json alone.json --csv alone.csv
    wanted=$(tail -1 alone.csv | cut -d, -f4-)
    case $lr in 0.001) value=1e-3 ;; 0.01) value=1e-2 ;; 0.1) value=1e-1 ;; esac
    found=$(grep "^avgpool,$value,$head," sweep.csv | cut -d, -f6-)
    [ "$wanted" = "$found" ] || failed "lr $lr, $head: alone '$wanted', in the sweep '$found'"
  done
done
best=$(sed -n 's/^ *1  .*  lr=\([^ ]*\) head=\([^ ]*\)$/\1 \2/p' stderr)
expect 0 train own.h5 --target class --epochs 12 --sweep lr=1e-3,1e-2,1e-1 --sweep head=linear,mlp:16 \
  --csv one.csv -o one.safetensors --threads 1
cmp sweep.csv one.csv || failed 'one thread gives other heads'
same_head best.safetensors one.safetensors || failed 'one thread gives another model'

# All 64 of a sweep equal the 64 runs one by one, as do their numbers of threads.
lrs=1e-4,3e-4,1e-3,3e-3,1e-2,3e-2,0.1,0.3
sweep64() {
  train own.h5 --target class --epochs 3 -q --sweep lr=$lrs --sweep weight-decay=0,1e-3,1e-2,0.1 --sweep clip=0,1 "$@"
}
for head in linear 'mlp:12x6 --head-norm batch --dropout 0.3' 'mlp:12 --head-norm layer --activation gelu'; do
  for threads in 1 2 3; do
    # shellcheck disable=SC2086
    expect 0 sweep64 --head $head --csv all$threads.csv -o all$threads.safetensors --threads $threads
  done
  cmp all1.csv all2.csv && cmp all1.csv all3.csv || failed 'the heads depend on the number of threads'
  same_head all1.safetensors all2.safetensors && same_head all1.safetensors all3.safetensors || failed 'the model depends on it'
  [ "$(wc -l < all1.csv)" -eq 65 ] || failed '64 heads'
  for lr in $(echo $lrs | tr , ' '); do for decay in 0 1e-3 1e-2 0.1; do for clip in 0 1; do
    # shellcheck disable=SC2086
    expect 0 train own.h5 --target class --epochs 3 -q --lr $lr --weight-decay $decay --clip $clip --head $head --csv alone.csv
    wanted=$(tail -1 alone.csv | cut -d, -f4-)
    found=$(grep "^avgpool,$lr,$decay,$clip," all1.csv | cut -d, -f7-)
    [ "$wanted" = "$found" ] || failed "alone '$wanted', in the sweep '$found'"
  done; done; done
done

# Folds and seeds: mean and deviation; the test part is not touched by the choice.
expect 0 train own.h5 --target class --folds 3 --seeds 2 --sweep weight-decay=0,0.1 --epochs 5 --csv folds.csv
stderr_has '12 heads: 2 of weight-decay x 3 folds x 2 seeds'
stdout_has ' +- '
[ "$(wc -l < folds.csv)" -eq 13 ] || failed 'twelve heads'
[ "$(cut -d, -f3 folds.csv | sort -u | tr '\n' ' ')" = '0 1 2 fold ' ] || failed 'three folds'

# Without val rows the ranking is by the train part, and says so.
make_cache noval.h5 hard
expect 0 train noval.h5 --val 0 --epochs 3 --sweep lr=1e-3,1e-2 --json noval.json --report noval.html
stdout_has ' rank  train accuracy'
stdout_lacks 'val accuracy'
"$PYTHON" - << 'END' || failed 'the ranking gives the train part as val'
import json
result = json.load(open("noval.json"))
for ranked in result["sweep"]:
    assert ranked["train_accuracy"] > 0 and ranked["train_loss"] > 0, ranked
    assert not any(key.startswith("val") for key in ranked), ranked
END
grep -q '<th>train accuracy</th><th>train loss</th>' noval.html || failed 'the page ranks by val'
! grep -q '<th>val' noval.html || failed 'the page has val numbers'

# --resume refuses what keeps no state.
expect 2 train own.h5 --target class --optimizer lbfgs --resume -o no_state.safetensors
stderr_has '--optimizer lbfgs keeps no state'
expect 2 train own.h5 --target class --resume -o no_state.safetensors
stderr_has 'the search of the weight decay keeps no state'
absent no_state.safetensors
expect 0 train own.h5 --target class --no-search --epochs 2 --resume -o state.safetensors

# Every tap of the cache, ranked.
expect 0 train taps.h5 --tap all --epochs 5 --json taps.json
stderr_has 'all 4 taps'
stdout_has 'tap=avgpool'
grep -q '"tap":	"noise"' taps.json || failed 'the tap of noise is not ranked'

# L-BFGS: the optimum, in a sweep as alone, and said where it was not reached.
expect 0 train own.h5 --target class --optimizer lbfgs --weight-decay 0.01 --json lbfgs.json
stderr_has 'lbfgs to the optimum'
grep -q '"converged":	true' lbfgs.json || failed 'not converged'
expect 0 train own.h5 --target class --optimizer lbfgs --epochs 2
stderr_has '2 iterations, ended by --epochs;'
stderr_lacks 'not converged'
expect 2 train own.h5 --target class --optimizer lbfgs --head mlp:8
stderr_has 'linear heads'
# Before any head of a sweep is trained.
for said in '--optimizer lbfgs --sweep head=linear,mlp:8' '--head mlp:8 --sweep optimizer=adamw,lbfgs'; do
  # shellcheck disable=SC2086
  expect 2 train own.h5 --target class $said --epochs 5
  stderr_has 'linear heads'
  stderr_lacks '2 heads'
done
expect 2 train own.h5 --target size --loss l1 --sweep optimizer=adamw,lbfgs --epochs 5
stderr_has 'smooth loss'
stderr_lacks '2 heads'

# Numbers, and both together.
expect 0 train own.h5 --target size --lr 0.01 --assert 'val.r2>=0.95' --assert 'test.mae<=1' --json size.json
stderr_has "target 'size', 1 number"
stdout_has '  mean absolute error'
expect 0 train own.h5 --target size --optimizer lbfgs --weight-decay 1e-6 --assert 'val.r2>=0.9999'
for loss in l1 huber:0.5; do
  expect 0 train own.h5 --target size --lr 0.01 --loss $loss --assert 'val.r2>=0.9'
done
expect 2 train own.h5 --target size --loss l1 --optimizer lbfgs
stderr_has 'smooth loss'
# Focal loss, of classes and of labels; where it does not go it is refused.
make_cache tags.h5 val test hard labels
expect 0 train tags.h5 --target class --lr 0.01 --epochs 20 --loss focal --class-weights balanced --assert 'val.accuracy>=0.6' --json focal.json
grep -q '"loss":[[:space:]]*"focal"' focal.json || failed 'the loss of the result'
[ "$(number focal.json focal_gamma)" = 2 ] || failed 'gamma of the result'
expect 0 train tags.h5 --target class,tags --lr 0.01 --epochs 20 --loss focal:1.5 --loss class=cross-entropy --label-smoothing 0.1 --assert 'val.tags.micro_f1>=0.8'
expect 2 train tags.h5 --target class --loss focal --label-smoothing 0.1
stderr_has '--label-smoothing has no meaning with the focal loss'
expect 2 train tags.h5 --target class --loss focal --sweep label-smoothing=0,0.1
expect 2 train tags.h5 --target class,tags --loss tags=focal --optimizer lbfgs
stderr_has "needs a convex loss, and focal of target 'tags' is not: choose binary-cross-entropy"
expect 2 train own.h5 --target size --loss size=focal
stderr_has "target 'size' does not hold classes or labels"
expect 0 train own.h5 --target size --loss focal --epochs 1
stderr_has '--loss focal is for classes or labels, which no target that is trained holds'
expect 2 train own.h5 --target class --loss focal:-1
expect 0 train own.h5 --target class,size --lr 0.01 -o both.safetensors --assert 'val.size.r2>=0.95' --assert 'val.class.accuracy>=0.5'
stderr_has "targets 'class' with 4 classes, 'size', 1 number"
expect 0 train own.h5 --target size,class --task-weight size=0 --epochs 3
expect 2 train own.h5 --target class --loss size=l1
stderr_has "target 'size'"
expect 2 train own.h5 --target class,class
stderr_has 'twice'

# What a model predicts from the cache's rows: targets in the order of training.
expect 0 predict both.safetensors own.h5
[ "$(head -1 stdout)" = 'path,class,class_probability,size' ] || failed 'CSV header of two targets'
[ "$(wc -l < stdout)" -eq 401 ] || failed 'a line a row'

# Few rows of each class, balanced draws, and a head that ends early.
expect 0 train own.h5 --target class --per-class 5 --epochs 5
stderr_lacks 'have fewer train rows'
expect 0 train own.h5 --target class --sweep per-class=1,5000 --evaluate-all --csv few.csv --epochs 5
stderr_has '--per-class 5000: 4 of 4 classes of '"'class'"' have fewer train rows, the smallest '
stderr_lacks 'there are no test rows'
expect 0 train taps.h5 --tap layer3 --evaluate-all --csv few.csv --epochs 5
stderr_has '--evaluate-all: there are no test rows'
expect 2 train own.h5 --target size --label-smoothing 0.1
stderr_has '--label-smoothing is of classes, and no target that is trained holds them'
expect 2 train own.h5 --target size --class-weights balanced
stderr_has '--class-weights balanced is of classes'
for said in '--sampling balanced' '--per-class 20' '--sweep per-class=5,20'; do
  # shellcheck disable=SC2086
  expect 2 train own.h5 --target size $said --epochs 5
  option=${said#--sweep }; option=${option#--}; option=${option%[= ][0-9]*}
  stderr_has "--$option is of classes, and no target that is trained holds them"
done
expect 0 train own.h5 --target class --per-class 5 --epochs 5
stderr_has 'rows: 20 of 240 train, '
expect 0 train own.h5 --target class --sweep per-class=2,5 --epochs 5
stderr_has 'rows: at most 20 of 240 train, '
make_cache partly.h5 val test unlabelled numbers
for said in '--per-class 5' '--sampling balanced'; do
  # shellcheck disable=SC2086
  expect 0 train partly.h5 --target size,class $said --epochs 5
  stderr_has "${said% 5} goes by the classes of 'class': "
  stderr_has ' train rows have none, and are not trained on'
  # shellcheck disable=SC2086
  expect 0 train partly.h5 --target class $said --epochs 5
  stderr_lacks 'goes by the classes'
done
expect 0 train own.h5 --target class --folds 3 --per-class 5 --epochs 5
stderr_has 'train and val in 3 folds, some of which the last head learns from'
stderr_has 'then trained on 20 of 340 rows'
expect 2 train own.h5 --target class --folds 3 --assert 'val.accuracy>=0.1'
stderr_has "Hint: 'sweep.0.val_accuracy'"
expect 0 train own.h5 --target class --sampling balanced --class-weights balanced --epochs 5
expect 0 train own.h5 --target class --patience 2 --epochs 200 --lr 0.1 --json patience.json
[ "$(grep -c '"train_loss":' patience.json)" -lt 150 ] || failed 'patience did not end the training'
expect 0 train own.h5 --target class --warmup 2 --clip 1 --label-smoothing 0.1 --optimizer sgd --nesterov --epochs 5

# A head that diverges is the last of its sweep; where all do, that is an error.
expect 0 train own.h5 --target size --optimizer sgd --sweep lr=1000,0.01 --epochs 30
stdout_has 'diverged'
expect 1 train own.h5 --target size --optimizer sgd --sweep lr=1000,2000 --epochs 30
stderr_has 'all 2 heads diverged'
no_leftovers
done_with

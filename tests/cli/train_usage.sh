# What train says before it opens anything.
. "$(dirname "$0")/harness.sh"

expect 0 train --help
stdout_has 'usage: train'
stdout_has '--weight-decay X'
stderr_empty
expect 0 train --version
stdout_has 'permafrost'

expect 2 train
stderr_has 'which cache?'
expect 2 train a.h5 b.h5
stderr_has "found 'a.h5' and 'b.h5'"
expect 2 train a.h5 --epoch 3
stderr_has 'Did you mean --epochs?'
expect 2 train a.h5 --swep lr=1
stderr_has 'Did you mean --sweep?'
# What other programs call so; the second of two spellings of a name; letters in one word.
for pair in gpu:device jobs:threads learning_rate:learning-rate wd:weight-decay cv:folds out:output validation:val \
    silent:quiet early_stopping:patience classes:target; do
  expect 2 train a.h5 --${pair%:*} 1
  stderr_has "Did you mean --${pair#*:}?"
done
expect 2 train a.h5 -output m.safetensors
stderr_has 'Did you mean --output?'
expect 1 train a.h5 -qj2 --batch-size 8 --learning-rate 1e-3
stderr_has "'a.h5'"
expect 2 train a.h5 --batch-size 0
stderr_has '--batch: expected'
expect 0 train -V
stdout_has 'train (permafrost)'
expect 0 train -qV
expect 2 train a.h5 --sweep learning-rate=1,2 --sweep lr=3
stderr_has "'lr' is given twice"
# A suffix that says another kind of file.
for file in m.onnx m.PT m.h5 m.json m.csv m.pkl; do
  expect 2 train a.h5 -o $file
  stderr_has "-o '$file': expected a file that ends in .safetensors"
done
expect 2 train a.h5 -o -
stderr_has 'a model goes into a file'
expect 1 train a.h5 -o model
stderr_has "'a.h5'"
expect 2 train a.h5 --json - --csv -
stderr_has '--json - and --csv -: standard output takes one of them'
expect 2 train a.h5 --epochs 0
stderr_has 'from 1'
expect 2 train a.h5 --lr -1
stderr_has '--lr'
expect 2 train a.h5 --optimizer lion
stderr_has 'adam, adamw, sgd'
expect 2 train a.h5 --normalize l1
stderr_has 'none, standardize, l2'
for head in mlp mlp: mlp:0 mlp:64x mlp:64,32 cnn mlp:1x1x1x1x1x1x1x1x1; do
  expect 2 train a.h5 --head $head
  stderr_has 'mlp:WIDTH'
done
for sweep in lr lr= =1 lr=1..2 lr=1..2:log lr=0..1:log3 lr=1..2:lin1; do
  expect 2 train a.h5 --sweep $sweep
  stderr_has '--sweep'
done
# Numbers are plain decimals.
for number in ' 5' '5 ' '' 0x10 +5 5x nan inf "5$(printf '\t')"; do
  for option in --epochs --lr --seed --head --memory --schedule --loss --task-weight --assert; do
    case $option in
      --head) value="mlp:$number" ;; --schedule) value="step:$number,0.1" ;; --loss) value="huber:$number" ;;
      --task-weight) value="age=$number" ;; --assert) value="val.accuracy>=$number" ;; *) value=$number ;;
    esac
    expect 2 train a.h5 $option "$value"
    stderr_has "$option"
  done
  expect 2 train a.h5 --head "mlp:8x$number"
  expect 2 train a.h5 --schedule "step:3,$number"
  for sweep in "lr=$number,1" "lr=$number..9:lin3" "lr=1..$number:lin3" "lr=1..9:lin$number" "lr=1..9: lin3"; do
    [ "$sweep" != 'lr=1..9:lin5' ] || continue
    expect 2 train a.h5 --sweep "$sweep"
  done
  expect 2 predict m.safetensors a.h5 --top "$number"
  stderr_has '--top'
  expect 2 predict m.safetensors a.h5 --threshold "$number"
  stderr_has '--threshold'
done
expect 2 train a.h5 --sweep lr=1e-3,1e-2 --sweep lr=1
stderr_has "'lr' is given twice"
for sweep in weight-decay=0..0.5:lin6 lr=1..5:lin5 lr=1e-4..1e-1:log7 lr=.5,5e-1; do
  expect 1 train a.h5 --sweep $sweep # the cache is what is missing
done
expect 2 train a.h5 --sweep lr=1,x
stderr_has "--lr: expected a number, found 'x'"
expect 2 train a.h5 --sweep lrr=1
stderr_has 'Did you mean --lr?'
expect 2 train a.h5 --sweep seed=1,2 --sweep tap=a,b
stderr_has '--tap all tries every tap'
expect 2 train a.h5 --sweep optimizer=adam,sgd --momentum 0.5
stderr_has '--optimizer sgd'
expect 2 train a.h5 --optimizer lbfgs --lr 1
stderr_has 'no meaning with --optimizer lbfgs'
expect 2 train a.h5 --loss huber:0
stderr_has '--loss'
expect 2 train a.h5 --task-weight 2
stderr_has 'TARGET=W'
expect 2 train a.h5 --csv-safe
stderr_has '--csv-safe goes with --csv FILE'
expect 2 train a.h5 --csv-safe --json -
stderr_has '--csv-safe goes with --csv FILE'
expect 2 train a.h5 --nesterov
stderr_has '--optimizer sgd'
expect 2 train a.h5 --momentum 0.9
stderr_has '--optimizer sgd'
for schedule in step step:0,0.1 step:3 step:3,2 step:3,0.1x linear; do
  expect 2 train a.h5 --schedule $schedule
  stderr_has 'step:EPOCHS,FACTOR'
done
expect 2 train a.h5 --assert 'val.accuracy=>0.9'
stderr_has 'val.accuracy>=0.95'
expect 2 train a.h5 --val 1
stderr_has '--val'

# What would have no effect.
for option in '--dropout 0.9' '--activation gelu' '--head-norm batch' '--sweep dropout=0,0.5'; do
  # shellcheck disable=SC2086
  expect 2 train a.h5 $option
  stderr_has 'a linear head has none. Hint: --head mlp:256'
done
expect 1 train a.h5 --dropout 0.9 --sweep head=linear,mlp:16
stderr_has "'a.h5'"
expect 2 train a.h5 --lr 1e-3 --sweep learning-rate=1,2
stderr_has '--lr gives one value, and --sweep lr=... others: choose one'
expect 2 train a.h5 --folds 3 --val 0.3
stderr_has '--val and --folds'
expect 2 train a.h5 --optimizer lbfgs --batch 3
stderr_has '--batch has no meaning with --optimizer lbfgs'
for option in '--images photos' --no-thumbnails --anonymous; do
  # shellcheck disable=SC2086
  expect 2 train a.h5 $option
  stderr_has 'belongs to --report FILE.html'
done

# The outputs are tried before the cache is read.
expect 1 train a.h5 -o nowhere/model.safetensors
stderr_has 'nowhere/model.safetensors'
expect 1 train a.h5 --json nowhere/result.json
stderr_has 'nowhere/result.json'
mkdir folder
expect 1 train a.h5 -o folder
stderr_has 'directory'
expect 1 train a.h5
stderr_has "'a.h5'"
echo 'not a cache' > text.h5
expect 1 train text.h5
stderr_has 'not a feature cache'
ln text.h5 text.safetensors
expect 2 train text.h5 -o text.safetensors
stderr_has 'the cache itself'
no_leftovers
done_with

# Data at the edges of what can be learned from: a clear message or a sound result.
. "$(dirname "$0")/harness.sh"

# A number of the result JSON: the first after "key":.
number() { awk -v key="\"$2\":" '$1 == key { gsub(",", "", $2); print $2; exit }' "$1"; }
# No number of the JSON and no weight is NaN or infinite, which JSON cannot say (predict reads the weights).
sound() {
  checks=$((checks + 1))
  ! grep -qiE '[:[,][[:space:]]*-?(nan|inf|null|1e99999)' "$1" || failed "'$1' holds what is no number"
  expect 0 predict "$2" "$3"
  checks=$((checks + 1))
  ! grep -qE ',-?(nan|inf)' stdout || failed "'$2' predicts what is no number"
}

# Features that are no numbers.
make_cache inf.h5 inf
expect 1 train inf.h5 -o model.safetensors
stderr_has "'inf.h5': the features of row 33 (class 1/033.jpg) at tap 'avgpool' hold NaN or infinity"
absent model.safetensors

# Features that tell nothing, or that are huge.
for kind in dead huge equal; do
  make_cache $kind.h5 val test numbers $kind
  for normalize in none standardize l2; do
    [ $kind$normalize != hugenone ] || continue
    for how in '--epochs 5' '--optimizer lbfgs' '--epochs 5 --head mlp:8 --head-norm batch' '--epochs 5 --head mlp:8 --head-norm layer'; do
      for target in class size; do
        # shellcheck disable=SC2086
        expect 0 train $kind.h5 --target $target --normalize $normalize $how -o m.safetensors --json m.json
        sound m.json m.safetensors $kind.h5
      done
    done
  done
done
expect 0 train dead.h5 --target class --assert 'val.accuracy>=0.95'
expect 0 train equal.h5 --target class --optimizer lbfgs --json equal.json --assert 'val.accuracy==0.25'
stderr_has '0 iterations'
grep -q '"converged":	true' equal.json || failed 'nothing to gain is an optimum'
expect 1 train huge.h5 --target size --no-search --normalize none -o no.safetensors
stderr_has 'the training diverged: the loss of epoch 1 is not a number'
stderr_has '--normalize standardize'
absent no.safetensors
expect 0 train huge.h5 --target size --normalize none --optimizer lbfgs -o m.safetensors --json m.json
sound m.json m.safetensors huge.h5

# Numbers that are all the same.
make_cache constant.h5 val test numbers constant
expect 0 train constant.h5 --target size --optimizer lbfgs --assert 'val.mae<=1e-5' -o m.safetensors --json m.json
sound m.json m.safetensors constant.h5
expect 0 train constant.h5 --target size --epochs 100 --lr 0.1 --schedule cosine --assert 'val.mae<=0.1' --json m.json -o m.safetensors
sound m.json m.safetensors constant.h5

# Numbers that no val row has, and numbers as large as floats can be.
make_cache unsized.h5 val test numbers unsized
expect 0 train unsized.h5 --target class,size --no-search --epochs 3 -o m.safetensors --json m.json
stderr_has ', size mae -, '
sound m.json m.safetensors unsized.h5
expect 0 train unsized.h5 --target size --no-search --epochs 3
stderr_has 'no rows for validation'
make_cache large.h5 val test numbers large
for optimizer in adamw lbfgs; do
  expect 0 train large.h5 --target size --optimizer $optimizer -o m.safetensors --json m.json
  sound m.json m.safetensors large.h5
  checks=$((checks + 1))
  ! grep -q '[0-9]\{12\}' stderr || failed 'numbers of too many digits'
done

# A label that no row has.
make_cache labels.h5 val test labels
for optimizer in adamw lbfgs; do
  expect 0 train labels.h5 --target tags --optimizer $optimizer -o m.safetensors --json m.json --assert 'val.labels.0.support==0'
  sound m.json m.safetensors labels.h5
done

# Two images: both are trained on. Folds that leave nothing to learn or to validate on are refused.
make_cache two.h5 two numbers
expect 0 train two.h5 --target class -o m.safetensors --json m.json
stderr_has 'rows: 2 train, 0 val'
stderr_has 'no rows for validation'
sound m.json m.safetensors two.h5
expect 0 train two.h5 --target class --optimizer lbfgs --per-class 9 --assert 'train.accuracy==1'
expect 0 train two.h5 --target class --head mlp:4 --head-norm batch --batch 64 --epochs 3
expect 1 train two.h5 --target class --folds 5 -o no.safetensors
stderr_has '--folds 5 needs 5 rows to train and validate on, and there are 2'
expect 1 train two.h5 --target class --folds 2 -o no.safetensors
stderr_has "with fold 1 of 2 held out, 'two.h5': all train rows are of one class of target 'class'"
absent no.safetensors

# A class of one image: trained on, unless a fold takes it away. More rows a class than there are.
make_cache lone.h5 lone
expect 0 train lone.h5 --epochs 5 --json m.json -o m.safetensors
sound m.json m.safetensors lone.h5
expect 0 train lone.h5 --folds 3 --epochs 5 --json m.json
stderr_lacks 'is not in train' # the last head learns from it
expect 0 train lone.h5 --folds 3 --optimizer lbfgs
expect 0 train lone.h5 --per-class 1000 --epochs 5 --json some.json
expect 0 train lone.h5 --epochs 5 --json all.json
[ "$(number some.json train_loss)" = "$(number all.json train_loss)" ] || failed '--per-class of more than all is not all'
expect 0 train lone.h5 --per-class 2 --class-weights balanced --sampling balanced --epochs 5 \
  --assert 'train.rows==7' # of those that were trained on

# A class that only val and test have.
make_cache newclass.h5 val test newclass
for how in '--epochs 20' '--optimizer lbfgs' '--optimizer lbfgs --class-weights balanced' '--sampling balanced --epochs 5'; do
  # shellcheck disable=SC2086
  expect 0 train newclass.h5 $how -o m.safetensors --json m.json --assert 'val.classes.2.recall==0' --assert 'val.classes.2.support==25'
  stderr_has "class 'wasps' of val or test is not in train: a head cannot know it"
  sound m.json m.safetensors newclass.h5
done

# With folds train and val are one part.
make_cache testclass.h5 test newclass
expect 0 train testclass.h5 --folds 3 --epochs 5
stderr_has "class 'wasps' of test is not in train: a head cannot know it"

# A disk that is full says of which file.
expect 1 train newclass.h5 --epochs 2 --predictions /dev/full
stderr_has "cannot write the predictions to '/dev/full': No space left on device"

# Test rows of one class: there is no AUC of them.
make_cache testants.h5 val test testants
expect 0 train testants.h5 --epochs 5 --assert 'val.roc_auc>=0'
expect 2 train testants.h5 --epochs 5 --assert 'test.roc_auc>=0'
stderr_has "there is no 'roc_auc' among"

# 100,000 classes: in little memory, without a matrix.
make_cache many.h5 val many
([ -n "${PF_SANITIZE:-}" ] || ulimit -v 1000000; expect 0 train many.h5 --no-search --epochs 2 --threads 2 --json many.json -o m.safetensors)
! grep -q '"confusion"' many.json || failed 'a matrix of 100,000 classes'
[ "$(wc -c < many.json)" -lt 20000000 ] || failed 'the JSON is larger than its classes'
expect 0 train many.h5 --no-search --epochs 1
stdout_lacks 'true \ predicted'
stdout_has 'val, lowest f1'

# Batches: larger than the data, and one that leaves a lone row, which batch norm cannot normalise with.
make_cache plain.h5 val test
expect 0 train plain.h5 --batch 100000 --epochs 5
stderr_has 'batch 100000'
for batch in 239 2 64; do # 240 rows
  expect 0 train plain.h5 --head mlp:16 --head-norm batch --batch $batch --epochs 20 --lr 0.01 --json m.json -o m.safetensors \
    --assert 'val.accuracy>=0.95' --assert 'test.accuracy>=0.95'
  sound m.json m.safetensors plain.h5
done
expect 2 train plain.h5 --head mlp:16 --head-norm batch --batch 1
stderr_has '--batch 1 is too small'

# Heads that diverge change nothing of the others and come last.
make_cache numbers.h5 val test numbers
expect 0 train numbers.h5 --target size --optimizer sgd --epochs 8 --sweep lr=1e-3,1e-2,10,1e5 --csv four.csv --json four.json -v
stdout_has '    3  diverged'
stdout_has '    4  diverged'
expect 0 train numbers.h5 --target size --optimizer sgd --epochs 8 --sweep lr=1e-3,1e-2 --csv both.csv
for lr in 1e-3 1e-2; do
  [ "$(grep "^avgpool,$lr," four.csv)" = "$(grep "^avgpool,$lr," both.csv)" ] || failed "lr $lr is another beside heads that diverge"
done
# In the last step of all: nothing that is no number is kept.
for lr in 10 100 1e3 1e4 1e5 1e6; do
  for epochs in 1 2 3; do
    for batch in 7 400; do
      code=0; rm -f m.safetensors
      command="train numbers.h5 --target size, lr $lr, $epochs epochs, batch $batch"
      train numbers.h5 --target size --optimizer sgd --lr $lr --epochs $epochs --batch $batch -o m.safetensors --json m.json > stdout 2> stderr || code=$?
      if [ $code -eq 0 ]; then
        sound m.json m.safetensors numbers.h5
      else
        stderr_has 'the training diverged'
        absent m.safetensors
      fi
    done
  done
done
# The loss before the only step is a number; after it nothing is.
expect 1 train huge.h5 --target class --normalize none --optimizer sgd --lr 1e4 --epochs 1 --batch 400 -o no.safetensors
stderr_has 'diverged'
absent no.safetensors
make_cache noval.h5 huge
expect 1 train noval.h5 --val 0 --normalize none --optimizer sgd --lr 1e6 --epochs 1 --batch 400 -o no.safetensors
stderr_has 'diverged'
absent no.safetensors
no_leftovers
done_with

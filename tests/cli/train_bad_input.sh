# Caches that nothing can be learned from: each a clear message, and no output.
. "$(dirname "$0")/harness.sh"

refused() { # CODE PART-OF-MESSAGE KIND...
  wanted_code=$1 part=$2; shift 2
  make_cache bad.h5 "$@"
  expect "$wanted_code" train bad.h5 -o model.safetensors --json result.json
  stderr_has "'bad.h5'"
  stderr_has "$part"
  absent model.safetensors
  absent result.json
}

refused 1 'holds no labels' notarget
refused 1 'none of its 400 rows has a label' nolabels
refused 1 "('wasps')" oneclass
refused 1 'row 33 (class 1/033.jpg)' nan

make_cache some.h5 unlabelled
expect 0 train some.h5 --epochs 3
stderr_has '58 unlabelled left out'

head -c 3000 some.h5 > cut.h5
expect 1 train cut.h5
stderr_has "'cut.h5'"
: > empty.h5
expect 1 train empty.h5
stderr_has "'empty.h5'"
expect 1 train .
make_cache dark.h5
chmod 000 dark.h5
if [ ! -r dark.h5 ]; then # root reads everything
  expect 1 train dark.h5
  stderr_has "'dark.h5'"
fi

# A rate that nothing survives.
expect 1 train some.h5 --optimizer sgd --lr 1e5 --weight-decay 10 -o model.safetensors
stderr_has 'diverged'
absent model.safetensors
no_leftovers
done_with

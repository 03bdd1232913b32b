# What a run of extract says of itself: where the time went, what held it back, what would help.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 10 4

# A network that takes longer than all else together.
expect 0 env FAKE_BACKBONE_MS=60 extract photos -o slow.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 4
stderr_has 'bound by the network: '
stderr_has ' of 4 batches waited for it'
stderr_lacks 'GFLOP/s' # nobody knows how much a TorchScript file computes
# One that takes nothing: on one thread, pictures cannot be decoded fast enough.
expect 0 extract_fake "$SAMPLE/pictures" -o fast.h5
expect 0 extract_fake "$SAMPLE/pictures" -o fast.h5 --force --workers 1
stderr_has 'bound by decoding images: the network waited '
stderr_has ' % (1 thread), '
# Features that are hard to compress.
expect 0 extract photos -o hard.h5 --backbone ./net.pt --tap pixels --resize 200 --crop 200 --batch 4 --compress gzip:9 --store f32
stderr_has 'bound by writing features: '
stderr_has '; --compress zstd:1 is faster'

# Of a built-in network the rate is known, and with -v what this machine could reach.
export FAKE_BACKBONE_MS=1
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
grep -q '^time: load [0-9.]* s, images [0-9.]* s, cache [0-9.]* s; read [0-9]* %, decode [0-9]* % ([0-9]* threads*), network [0-9]* % ([0-9]* GFLOP/s), write [0-9]* %$' stderr ||
  failed 'the line of times looks otherwise'
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --force -v
grep -q 'network [0-9]* % ([0-9]* of [1-9][0-9]* GFLOP/s)' stderr || failed 'no ceiling is said'
checks=$((checks + 2))
# Nothing computed, nothing said.
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --compress none
stderr_has '0 computed'
stderr_lacks 'bound by'
done_with

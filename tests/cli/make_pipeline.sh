# make -f Makefile.data DATA=... head: remade only when something changed.
. "$(dirname "$0")/harness.sh"
needs_torch
photographs photos 10 4
pipeline() {
  make --no-print-directory -C "$SOURCE" -f Makefile.data BUILD="$BUILD" OUT="$WORK/out" DATA="$WORK/photos" BACKBONE=resnet18_w16 \
    EXTRACT_FLAGS="--weights $WEIGHTS" "$@" head
}
head=out/photos-resnet18_w16.safetensors
# Taken by date and content, so that equal content written again is seen.
state() { stat -c '%y %n' out/*.h5 $head; }

expect 0 permafrost --makefile # of a build tree, in which programs lie as they are installed
[ "$(cat stdout)" -ef "$SOURCE/pipeline.mk" ] || failed 'this is not the makefile of the sources'
expect 0 pipeline
exists out/photos-resnet18_w16.h5
exists $head
state > first; sleep 1
expect 0 pipeline
stderr_has 'up to date'
stderr_lacks 'val accuracy'
stdout_empty # nor does building what is built say anything
state > second
cmp -s first second || failed 'a second run made something again'
expect 0 pipeline TRAIN_FLAGS='--no-search --epochs 3'
stderr_has 'of 3'
stderr_has 'up to date'
cp photos/val/cat/"$(ls photos/val/cat | head -n 1)" photos/train/cat/new.jpg
expect 0 pipeline TRAIN_FLAGS='--no-search --epochs 3'
stderr_has '43 rows'
stderr_has 'val accuracy'
expect 2 make -C "$SOURCE" -f Makefile.data OUT="$WORK/out" head
stderr_has 'DATA=photos'
done_with

# The demo: the whole path on pictures that the project draws itself, with the
# backbone that comes with it. usage: demo.sh BUILD_DIR OUT_DIR
set -eu
BUILD=$1 OUT=$2
BIN=$BUILD/bin
WEIGHTS=$(dirname "$0")/resnet18_w16.safetensors
mkdir -p "$OUT"
rm -f "$OUT/sample.h5" "$OUT/sample.safetensors" "$OUT/sample.json"

# Shows a command as one would type it, then runs it.
run() { printf '\n$ %s\n' "$*" >&2; "$@"; }
seconds() { date +%s.%N; }
elapsed() { awk "BEGIN { printf \"%.2f\", $2 - $1 }"; }

echo "Drawing the sample: 8 kinds of things, 100 training and 25 validation pictures each." >&2
"$BUILD/tests/draw_sample" "$OUT" > /dev/null

t0=$(seconds)
run "$BIN/extract" "$OUT/pictures" -o "$OUT/sample.h5" --backbone resnet18_w16 --weights "$WEIGHTS"
t1=$(seconds)
run "$BIN/extract" "$OUT/pictures" -o "$OUT/sample.h5" --backbone resnet18_w16 --weights "$WEIGHTS"
t2=$(seconds)
run "$BIN/train" "$OUT/sample.h5" -o "$OUT/sample.safetensors" --json "$OUT/sample.json"
t3=$(seconds)
run "$BIN/train" "$OUT/sample.h5" -q --lr 3e-3 --weight-decay 0.05 --json "$OUT/other.json"
t4=$(seconds)
run "$BIN/predict" "$OUT/sample.safetensors" "$OUT/new" --top 2

accuracy() { awk -F'[:,]' '/"accuracy":[ \t]*[0-9]/ { value = $2 } END { printf "%.1f %%", 100 * value }' "$1"; }
echo >&2
cat <<END
validation accuracy        $(accuracy "$OUT/sample.json")
first extract              $(elapsed "$t0" "$t1") s
second extract, unchanged  $(elapsed "$t1" "$t2") s
train a head               $(elapsed "$t2" "$t3") s
train with other settings  $(elapsed "$t3" "$t4") s   validation accuracy $(accuracy "$OUT/other.json")
END

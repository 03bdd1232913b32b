# The README's first commands work as they stand, one after the other; and what it shows of the demo
# is what the programs print today; times, rates and sizes of memory may differ.
. "$(dirname "$0")/harness.sh"
needs_torch

# With the sample's network in the place of the large one.
mkdir new
photographs drawn 10 0
mv drawn/train photos
find photos/cat -type f | head -n 3 | while read -r file; do cp "$file" new/; done
sed '/^## /,$d' "$SOURCE/README.md" | grep -E '^    (extract|train|predict|inspect) ' |
  sed "s|--backbone resnet18|--backbone resnet18_w16 --weights '$WEIGHTS'|" > commands
checks=$((checks + 1)); [ "$(grep -c . commands)" -ge 6 ] || { cat commands; exit 1; }
while IFS= read -r line; do expect 0 sh -c "$line"; done < commands
exists tuned.safetensors

cd "$SOURCE"
code=0; command='demo.sh'
sh tests/sample/demo.sh "$BUILD" "$WORK/demo" > "$WORK/stdout" 2> "$WORK/stderr" || code=$?
cd "$WORK"
[ "$code" -eq 0 ] || failed 'the demo failed'

# Paths as in the README; every number with a unit of time, share, rate or memory becomes N, and what
# a run is bound by is the machine's business, as is whether it took so long that a bare convolution
# was measured beside it ("5 of 10 GFLOP/s"), and how many images were decoded meanwhile.
plain() {
  sed -e "s|$WORK/demo|out/demo|g; s|$BUILD/bin|build/bin|g" \
    -e 's/ ([0-9]* images* decoded meanwhile)//; s/[0-9.]* s\b/N s/g; s/[0-9]* %/N %/g; s/([0-9]* of [0-9]* GFLOP/(N GFLOP/; s/[0-9][0-9]* GFLOP/N GFLOP/; s/^bound by .*/bound by .../; s/[0-9.]* images\/s/N images\/s/; s/memory [0-9.]* [A-Z]*B/memory N/' \
    -e 's/,0\.[0-9]*/,0.N/g'
}
cat stdout stderr | plain > printed
sed -n '/^What the demo prints/,/^## /p' "$SOURCE/README.md" | sed -n 's/^    //p' | grep -v '^\.\.\.$' | plain > shown
[ "$(wc -l < shown)" -gt 10 ] || failed 'the README shows no session'
while IFS= read -r line; do
  checks=$((checks + 1))
  grep -qxF -- "$line" printed || failed "README shows a line that nothing prints: $line"
done < shown
# The accuracies of its summary are the ones that train said.
for said in $(sed -n 's/^val accuracy \([0-9.]*\),.*/\1/p' stderr stdout | sort -u); do
  checks=$((checks + 1))
  percent=$(awk "BEGIN { printf \"%.1f %%\", 100 * $said }")
  grep -q "validation accuracy  *$percent" stdout || failed "the summary lacks $percent"
done
grep -q 'validation accuracy' stdout || failed 'the demo did not sum up'
done_with

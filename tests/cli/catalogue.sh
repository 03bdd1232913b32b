# Many sources: 1,001 caches of a few rows, merged as a catalogue and as one cache, are one cache to
# every program. Each input is opened twice: to see what it is, and for its rows.
. "$(dirname "$0")/harness.sh"
[ -z "${PF_SANITIZE:-}" ] || skip 'a thousand files take minutes under sanitizers; unit_cache_virtual reads such a catalogue'

make_large_cache single.h5 12012 32 zstd
make_large_cache parts 12012 32 zstd 1001
expect 0 extract --merge --virtual thin.h5 parts
stderr_has 'thin.h5: 12012 rows of 1001 caches'; stderr_has 'features stay where they are'
grep -Eq ' s \(caches compared [0-9.]+ s, written [0-9.]+ s\)$' stderr || failed 'where the time went'
expect 0 extract --merge whole.h5 parts; stderr_has '12012 rows of 1001 caches'; stderr_lacks 'another input'
same_cache single.h5 whole.h5; same_cache single.h5 thin.h5
# A thousand are named, others counted: readers refuse JSON without bounds.
grep -aqF '},{"others":1,"rows":12}]' whole.h5 || failed 'expected one input that is only counted'
no_leftovers
# In any order, as names on standard input.
find parts -name '*.h5' | sort -r > names
INPUT=names expect 0 extract --merge again.h5 -; same_cache single.h5 again.h5

# ---- every program reads it ----

expect 0 extract --info thin.h5; stdout_has 'rows        12012'; stdout_has '1001'
expect 0 extract --verify thin.h5; stdout_has '12012'
settings='--epochs 1 --no-search --seed 3 -q'
# shellcheck disable=SC2086
expect 0 train whole.h5 -o whole.safetensors $settings
# shellcheck disable=SC2086
expect 0 train thin.h5 -o thin.safetensors $settings
same_head whole.safetensors thin.safetensors || failed 'another head'
# Streamed, one source after the other.
expect 0 train thin.h5 -o stream.safetensors --epochs 1 --no-search --memory 1M
stderr_has 'streamed in blocks through 1.0 MB'; stderr_has 'val accuracy'
expect 0 predict whole.safetensors whole.h5 -o whole.csv
expect 0 predict whole.safetensors thin.h5 -o thin.csv
cmp whole.csv thin.csv || failed 'other predictions'
expect 0 inspect whole.h5 --csv whole.findings.csv
expect 0 inspect thin.h5 --csv thin.findings.csv
cmp whole.findings.csv thin.findings.csv || failed 'other findings'

# ---- what is wrong with it ----

cp parts/7-of-1001.h5 kept.h5
make_large_cache parts/7-of-1001.h5 12 32 zstd
expect 1 extract --verify thin.h5; stdout_has '7-of-1001.h5'; stdout_has 'written again'
expect 1 train thin.h5; stderr_has '7-of-1001.h5'
rm parts/7-of-1001.h5
expect 1 inspect thin.h5; stderr_has '7-of-1001.h5'; stderr_has 'not there'
stderr_lacks '\nHint'
expect 1 extract --merge less.h5 parts; stderr_has 'missing: 7'; absent less.h5
mv kept.h5 parts/7-of-1001.h5
expect 0 extract --info thin.h5
# Of many that are missing those that fit are named, and that there are more.
mkdir some
for n in $(seq 1 2 119); do ln parts/$n-of-1001.h5 some/; done
expect 1 extract --merge less.h5 some
grep -Eq 'missing: 2, 4, 6, .*[0-9], and more\.$' stderr || failed 'what is missing is cut somewhere'

# ---- each input is opened twice ----

if [ -z "${PF_SANITIZE:-}" ]; then
  count() { rm -f calls; expect 0 env LD_PRELOAD="$BUILD/tests/count_calls.so" COUNT_CALLS_OF=of-1001.h5 COUNT_CALLS_TO=calls "$@"; }
  opened() { sed -n 's/opened //p' calls; }
  count extract --info parts/7-of-1001.h5; once=$(opened)
  [ "$once" -ge 1 ] || failed 'nothing was counted'
  for virtual in '' --virtual; do
    # shellcheck disable=SC2086
    count extract --merge --force $virtual counted.h5 parts
    # The first is asked for with each of the others, and may have to be opened some times more.
    [ "$(opened)" -le $((once * (2 * 1001 + 20))) ] || failed "$(opened) openings of 1001 files, $once for one"
  done
fi
done_with

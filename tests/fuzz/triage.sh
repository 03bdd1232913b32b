# Whose crash is it? usage: triage.sh FUZZ_TARGET FINDING...
# Prints a line for each finding, with its stack: "HDF5" where the innermost function of those that
# are ours or HDF5's is HDF5's, "ours" where it is ours, "memory" where there was only too much of
# it in all (look at the allocations with -malloc_limit_mb), "none" where nothing happens any more.
set -eu
target=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for finding; do
  "$target" -rss_limit_mb=2048 -timeout=10 "$finding" > "$log" 2>&1 || :
  stack=$(grep -E '^ *#[0-9]+ 0x' "$log" | sed '/LLVMFuzzerTestOneInput/q' |
    grep -E 'libhdf5|\.c:[0-9]+:[0-9]+$' | grep -vE '/sysdeps/|/csu/' || :)
  whose=ours
  printf '%s\n' "$stack" | head -n 1 | grep -q libhdf5 && whose=HDF5
  ! grep -q 'out-of-memory (used' "$log" || whose=memory
  grep -qE 'ERROR|runtime error|not so' "$log" || whose=none
  printf '%s %s %s: %s\n' "$whose" "$(basename "$finding" | cut -c1-16)" \
    "$(grep -m1 -oE '(AddressSanitizer|libFuzzer|runtime error): [a-zA-Z-]+( [a-z]+)?' "$log" | cut -d' ' -f2-)" \
    "$(printf '%s\n' "$stack" | sed -E 's/^ *#[0-9]+ 0x[0-9a-f]+ +(in )?//; s/ .*//; s/^\(.*/?/' | head -n 12 | tr '\n' ' ')"
done

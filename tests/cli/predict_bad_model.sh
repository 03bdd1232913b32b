# Model files that somebody changed: refused with a reason, before any output.
. "$(dirname "$0")/harness.sh"

make_cache own.h5 val test resnet
expect 0 train own.h5 -o good.safetensors --epochs 1
expect 0 predict good.safetensors own.h5

# change OLD NEW: bad.safetensors is good.safetensors with a part of its JSON replaced, as long, and
# without its digest, as whoever means harm would have it.
change() {
  "$PYTHON" - "$1" "$2" <<'END'
import re, sys
model = open("good.safetensors", "rb").read().decode("latin-1")
new, count = re.subn(sys.argv[1].replace('"', r'\\"'),
                     lambda found: sys.argv[2].replace('"', '\\"').ljust(len(found[0])), model, 1)
new = new.replace('\\"digest\\"', '\\"former\\"')
assert count and "former" in new and len(new) == len(model)
open("bad.safetensors", "wb").write(new.encode("latin-1"))
END
}

refused() {
  expect 1 predict bad.safetensors own.h5
  stdout_empty
  stderr_has "bad.safetensors'"
  stderr_has "$1"
}

change '"classes":\[[^]]*\]' '"classes":null'
refused 'does not name the classes'
change '"classes":\[[^]]*\]' '"classes":[]'
refused 'not a list of names'
change '"ants"' '7'
refused 'not a list of names'
change '"tap":"[^"]*"' '"tap":null'
refused 'does not name its tap'
done_with

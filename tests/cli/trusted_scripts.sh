# A TorchScript file is a program: it runs where the command line names it, or the user's list of
# trusted files holds its path and digest; never because a model or a cache names it.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 4 2
expect 0 extract_fake photos -o own.h5 --tap mean,grid,pixels
expect 0 train own.h5 -q --tap mean --epochs 2 -o own.safetensors
list=$WORK/state/permafrost/trusted
: > images

# The command line names it: it runs, and its taps are listed.
expect 0 extract --summary --backbone "$WORK/net.pt" --input 32
stdout_has 'net.pt: TorchScript, sha256'
stdout_has 'taps at 32 x 32 pixels'
[ "$(tail -n +4 stdout | awk '{ print $1 }' | paste -s -d ' ')" = 'mean grid' ] || failed 'other taps than those of the file'
expect 0 extract --summary --backbone "$WORK/net.pt" --tap grid
[ "$(tail -n +4 stdout | awk '{ print $1 }')" = grid ] || failed '--tap is ignored'

# Refused before the plugin is looked for, with the commands that would do.
refused() {
  expect 1 env PERMAFROST_PLUGIN=/nonexistent.so "$@"
  stderr_lacks nonexistent.so
  saw 0
}
refused predict own.safetensors photos
stderr_has "model 'own.safetensors' names the TorchScript file '$WORK/net.pt'"
stderr_has "  --backbone $WORK/net.pt"
stderr_has "  predict --trust $WORK/net.pt"
refused predict own.safetensors --export own.pt
refused train own.h5 --finetune mean --tap grid
stderr_has "'own.h5' names the TorchScript file '$WORK/net.pt'"
stderr_has "  train --trust $WORK/net.pt"
refused inspect own.h5 --tap mean --near "$(find photos -type f | head -n 1)"
stderr_has "cache 'own.h5' names the TorchScript file '$WORK/net.pt'"
stderr_has "  extract --trust $WORK/net.pt" # inspect has no such option
absent "$list"
absent own.pt

# Named on this command line.
expect 0 predict own.safetensors photos --backbone net.pt
saw 18
expect 0 extract_fake photos -o own.h5
expect 0 train own.h5 -q --finetune mean --tap grid --epochs 1 --backbone net.pt
mkdir home
expect 0 predict own.safetensors photos --backbone ./net.pt
: > images

# Trusted for good; the list is a checklist of sha256sum.
expect 0 extract --trust net.pt
stderr_has "noted in '$list'"
expect 0 predict --trust ./net.pt
stderr_has 'it was already in'
checks=$((checks + 2))
[ "$(stat -c %a "$list")" = 600 ] || failed "mode $(stat -c %a "$list")"
[ "$(cat "$list")" = "$(sha256sum "$WORK/net.pt")" ] || failed "the list holds: $(cat "$list")"
expect 0 predict own.safetensors photos
saw 18
expect 0 train own.h5 -q --finetune mean --tap grid --epochs 1
: > images

# By another name, through a link to it, the file is the same; of another content it is not.
printf more >> net.pt
refused predict own.safetensors photos
stderr_has 'not the file that you trusted'
truncate -s -4 net.pt
echo 'another network' > other.pt
ln -sf other.pt link.pt
expect 0 train --trust link.pt
stderr_has "'$WORK/other.pt'"
expect 0 predict own.safetensors photos
: > images

# A list that is not the user's alone is not believed, nor a line that a crash has torn.
chmod g+w "$list"
refused predict own.safetensors photos
stderr_has 'is not believed'
expect 1 predict --trust net.pt
chmod g-w "$list"
chmod o+w state/permafrost
refused predict own.safetensors photos
stderr_has 'is not believed'
chmod o-w state/permafrost
mv "$list" list && ln -s "$WORK/list" "$list"
refused predict own.safetensors photos
expect 1 predict --trust net.pt
rm "$list"
head -c 70 list > "$list" && chmod 600 "$list"
refused predict own.safetensors photos
expect 0 predict --trust net.pt
expect 0 predict own.safetensors photos
if [ "$(id -u)" = 0 ]; then
  chown 12345 "$list"
  : > images
  refused predict own.safetensors photos
  stderr_has 'owner 12345'
  chown 0 "$list"
fi
: > images

# Without XDG_STATE_HOME it lies under HOME; a relative one is none.
expect 0 env XDG_STATE_HOME=relative HOME="$WORK/home" predict --trust net.pt
exists home/.local/state/permafrost/trusted
absent relative
expect 0 env -u XDG_STATE_HOME HOME="$WORK/home" predict own.safetensors photos
: > images
refused env -u XDG_STATE_HOME -u HOME predict own.safetensors photos
stderr_has 'names the TorchScript file'
expect 1 env -u XDG_STATE_HOME -u HOME predict --trust net.pt
stderr_has 'no place'

# A word for the shell, where a path would be several.
mkdir "it's a folder" && cp net.pt "it's a folder/net.pt"
expect 0 extract photos -o odd.h5 --backbone "it's a folder/net.pt" --resize 20 --crop 16 --tap mean
expect 0 train odd.h5 -q --epochs 2 -o odd.safetensors
: > images
refused predict odd.safetensors photos
stderr_has "  --backbone '$WORK/it'\\''s a folder/net.pt'"

# What a file calls a built-in network is never a path.
for name in ./net.pt net.pt "$WORK/net.pt"; do
  "$PYTHON" - own.safetensors "$name" named.safetensors <<'PY'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
about = json.loads(header["__metadata__"]["permafrost"])
about["backbone"]["name"] = sys.argv[2]
del about["digest"]  # whoever means harm has one that fits, or none
header["__metadata__"]["permafrost"] = json.dumps(about)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[3], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
PY
  refused predict named.safetensors photos
  stderr_has 'not built in'
done

# What is no such file, and what contradicts itself.
expect 1 extract --trust nowhere.pt
expect 1 predict --trust photos
mkfifo pipe.pt
expect 1 predict --trust pipe.pt
expect 1 predict own.safetensors photos --backbone pipe.pt
expect 1 extract photos -o pipe.h5 --backbone pipe.pt --resize 20 --crop 16
for program in extract predict train; do
  expect 2 $program --trust net.pt own.h5
  stderr_has 'stands alone'
  expect 0 $program --help
  stdout_has '--trust FILE.pt'
done
done_with

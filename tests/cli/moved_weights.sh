# Weights that are not where a model or a cache notes them are named, with their SHA-256 and the option.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 4 2
export HOME="$WORK" && unset TORCH_HOME XDG_CACHE_HOME
mkdir first
cp "$WEIGHTS" first/mine.safetensors
sha256=$(sha256sum < "$WEIGHTS" | cut -c1-64)
expect 0 extract photos -o c.h5 --backbone resnet18_w16 --weights first/mine.safetensors --tap avgpool,layer3
expect 0 train c.h5 -q --tap avgpool --epochs 2 -o m.safetensors
expect 0 predict m.safetensors photos
cp stdout before
mv first/mine.safetensors elsewhere.safetensors

# named BY: what the message of the last command must have.
named() {
  stderr_has "$1 was made with the weights '$WORK/first/mine.safetensors' (SHA-256 $sha256), which are not to be had there any more: No such"
  stderr_has '--weights FILE'
  stderr_lacks 'no published'
  stderr_lacks 'random'
}
expect 1 predict m.safetensors photos
named "model 'm.safetensors'"
expect 1 predict m.safetensors --export m.onnx
named "model 'm.safetensors'"
expect 1 train c.h5 --finetune layer4 --epochs 1 -o tuned.safetensors
named "'c.h5'"
expect 1 extract photos -o c.h5 --backbone resnet18_w16 --tap avgpool,layer3
named "'c.h5'"
# Another network's cache has nothing to say.
expect 1 extract photos -o c.h5 --backbone resnet34
stderr_has 'no weights for resnet34'
stderr_lacks mine.safetensors

# As the message says.
expect 0 predict m.safetensors photos --weights elsewhere.safetensors
cmp -s stdout before || failed 'other predictions'
expect 0 train c.h5 --finetune layer4 --epochs 1 -o tuned.safetensors --weights elsewhere.safetensors
expect 0 extract photos -o c.h5 --backbone resnet18_w16 --weights elsewhere.safetensors --tap avgpool,layer3
stderr_has 'up to date'
expect 4 predict m.safetensors photos --weights random:0

# A TorchScript file likewise.
expect 0 predict --trust net.pt
expect 0 extract_fake photos -o script.h5 --tap mean,grid
expect 0 train script.h5 -q --tap mean --epochs 2 -o script.safetensors
digest=$(sha256sum < net.pt | cut -c1-64)
mv net.pt gone.pt
expect 1 predict script.safetensors photos
stderr_has "is not where it was: '$WORK/net.pt' (SHA-256 $digest). Hint: name it with --backbone FILE.pt"
expect 1 train script.h5 --finetune mean --tap grid --epochs 1
stderr_has "is not where it was: '$WORK/net.pt' (SHA-256 $digest). Hint: name it with --backbone FILE.pt"
done_with

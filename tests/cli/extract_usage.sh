# What extract says before it loads anything: help, summary, refusals.
. "$(dirname "$0")/harness.sh"

# None of these may load libtorch.
export PERMAFROST_PLUGIN=/nonexistent/permafrost_torch.so

expect 0 extract --help
stdout_has 'usage: extract'
stdout_has '--backbone NAME|FILE.pt'
stderr_empty
expect 0 extract --version
stdout_has 'permafrost'

expect 0 extract --summary --backbone vgg16 --input 244 --classes 2
stdout_has 'Total params: 14,764,866'
stdout_has 'Trainable params: 50,178'
stdout_has 'Total mult-adds (G): 17.99'
stdout_has 'Forward/backward pass size (MB): 128.13'
stdout_has 'Estimated Total Size (MB): 187.91'
expect 0 extract --summary --backbone resnet18
stdout_has 'Total params: 11,689,512'
expect 0 extract --summary --backbone vgg16
stdout_has 'Total params: 138,357,544'
expect 0 extract --summary --backbone resnet18 --tap layer3
stdout_has 'Trainable params: 0'
stdout_lacks 'layer4'
expect 2 extract --summary --backbone resnet18 --tap layer9
stderr_has "no tap 'layer9'"
# Lists grow, outputs are given once, and of a network the last one counts.
expect 2 extract --summary --backbone resnet18 --tap layer8 --tap layer3
stderr_has "no tap 'layer8,layer3'"
mkdir twice
expect 2 extract twice -o a.h5 --output b.h5
stderr_has "--output is given twice: 'a.h5', then 'b.h5'"
expect 0 extract --summary --backbone vgg16 --backbone resnet18
stdout_has 'Total params: 11,689,512'
expect 2 extract --summary --backbone resnet19
stderr_has 'Did you mean resnet18?'
stderr_has 'ONNX (*.onnx)'
for name in ViT-L-32:vit_l_32 EfficientNet-V2-S:efficientnet_v2_s efficientnet:efficientnet_b0 vit_large_patch16_224:vit_l_16; do
  expect 2 extract --summary --backbone "${name%:*}"
  stderr_has "Did you mean ${name#*:}"
done
for size in '--image-size 64' '--crop 64' '--resize 64'; do
  expect 2 extract --summary --backbone resnet18 $size
  stderr_has 'Hint: --input SIZE'
done
expect 2 extract --summary --backbone vgg16 --input 8
stderr_has 'too small'
# Pools that round up take maps that are smaller than their windows, as torch's do.
expect 0 extract --summary --backbone squeezenet1_0 --input 28
stdout_has '[1, 256, 1, 1]'
expect 2 extract --summary --backbone squeezenet1_0 --input 12
stderr_has 'too small'
# Of TorchScript only the taps are known here (trusted_scripts.sh).
: > net.pt
expect 2 extract --summary --backbone ./net.pt --classes 2
stderr_has "found the TorchScript file './net.pt'"

expect 2 extract
stderr_has 'which dataset?'
expect 2 extract photos
stderr_has '-o CACHE.h5'
expect 2 extract photos -o x.h5 --tabs avgpool
stderr_has 'Did you mean --tap?'
for pair in gpu:device model:backbone layer:tap jobs:threads num-workers:workers overwrite:force size:image-size \
    describe:info download:fetch labels:target; do
  expect 2 extract photos -o x.h5 --${pair%:*}
  stderr_has "Did you mean --${pair#*:}?"
done
for file in x.csv x.json x.safetensors x.onnx x.JPG; do
  expect 2 extract photos -o $file
  stderr_has "-o '$file': expected a file that ends in .h5 or .hdf5"
  expect 2 extract --merge $file a.h5
  stderr_has "-o '$file'"
done
expect 2 extract photos -o -
stderr_has 'a cache goes into a file'
expect 1 extract nowhere -qj1 -o cache --batch-size 4
stderr_has "'nowhere'"
expect 0 extract -V
stdout_has 'extract (permafrost)'
printf 'path,a,b\nx.jpg,1,2\n' > list.csv
expect 2 extract list.csv -o x.h5 --target a,,b
stderr_has "empty entry in the list 'a,,b'"
expect 2 extract a b -o x.h5
stderr_has "found 'a' and 'b'"
expect 2 extract photos -o x.h5 --mean .5,.5
stderr_has 'expected R,G,B'
expect 2 extract photos -o x.h5 --std 0
stderr_has '--std'
expect 2 extract photos -o x.h5 --split val=0.6,test=0.5
stderr_has 'nothing to train on'
for split in val=0.1,val=0.2 test=0.1,val=0.1,test=0.1 'val=0.1 --split val=0.1'; do
  expect 2 extract photos -o x.h5 --split $split
  stderr_has 'is given twice'
done
# Numbers are plain decimals.
for number in ' 5' '5 ' '' 0x10 +5 5x nan inf "5$(printf '\t')"; do
  for option in --crop --batch --view-seed --sync-seconds --shard --compress --max-bad --mean --split --device; do
    case $option in
      --shard) value="$number/9" ;; --compress) value="gzip:$number" ;; --mean) value="0.5,$number,0.5" ;;
      --split) value="val=$number" ;; --device) value="cuda:$number" ;; *) value=$number ;;
    esac
    expect 2 extract photos -o x.h5 $option "$value"
    [ -z "$number" ] || stderr_has "$option"
  done
  expect 2 extract photos -o x.h5 --max-bad "$number%"
  stderr_has '--max-bad'
done
expect 2 extract photos -o x.h5 --batch 1e3
stderr_has "expected a whole number, found '1e3'"
expect 2 extract photos -o x.h5 --max-bad 00000000000000000000000000000000000x # read to its end
mkdir images; echo x > images/a.jpg
for seed in '' ' 1' 1x 0x1 +1 -1 18446744073709551616; do
  expect 2 extract images -o x.h5 --weights "random:$seed"
  stderr_has "--weights random:$seed: expected a whole number"
done
rm -r images
expect 2 extract photos -o x.h5 --precision fp8
stderr_has 'fp32, bf16, fp16, tf32'
expect 2 extract photos -o x.h5 --device gpu
stderr_has "--device: unknown device 'gpu'"
expect 2 extract photos -o x.h5 --device cuda:0,,cuda:1
stderr_has 'empty entry'
expect 2 extract photos -o x.h5 --device cuda,cuda:0
stderr_has 'the same GPU'
expect 2 extract photos -o x.h5 --device auto,cpu
stderr_has "unknown device 'auto'"
expect 2 extract photos -o x.h5 --compress zstd:99
stderr_has '1 to 19'
expect 2 extract photos -o x.h5 --max-bad 200%
stderr_has '--max-bad'
for sample in 0 -3 x 10%; do
  expect 2 extract photos -o x.h5 --sample $sample
  stderr_has '--sample'
done
expect 2 extract --merge x.h5 a.h5 --sample 3
stderr_has '--split, --exclude, --sample and --shard'
for shard in 0/3 4/3 1 a/b 1/0 1/3x -1/3 2/ /2; do
  expect 2 extract photos -o x.h5 --shard $shard
  stderr_has "--shard: expected K/N with K from 1 to N, found '$shard'"
done
expect 2 extract --summary --info
expect 2 extract --merge --info a.h5
expect 2 extract photos -o x.h5 --virtual
stderr_has '--virtual goes with --merge'
for mode in --summary '--info a.h5' '--merge out.h5 a.h5' '--verify a.h5' '--verify photos a.h5'; do
  expect 2 extract $mode --max-pixels 1000
  stderr_has '--max-pixels is for extracting'
done
# What belongs to a run is not passed over in other modes, of which some write.
for mode in '--merge out.h5 a.h5' '--list photos -o photos.list' '--info a.h5' '--verify a.h5' --backbones '--missing a.h5.parts' '--fetch resnet18'; do
  expect 2 extract $mode --dry-run
  stderr_has '--dry-run goes with a run that extracts'
  expect 2 extract $mode --contact-sheet page.html
  stderr_has '--contact-sheet goes with a run that extracts'
  absent out.h5; absent photos.list
done
expect 2 extract photos -o x.h5 --dry-run --contact-sheet page.html
stderr_has '--dry-run writes none'
expect 2 extract photos -o x.h5 --augmented
stderr_has '--augmented goes with --contact-sheet'
for option in '--tap avgpool' '--backbone vgg16' '--crop 64' '--store f32' --squash '--mean 0.5' '--exif apply' '--views 2'; do
  expect 2 extract --merge out.h5 a.h5 $option
  stderr_has "${option%% *} is for extracting; --merge takes rows as they are"
done
expect 2 extract --summary --sources-from .
stderr_has '--sources-from goes with a cache'
expect 2 extract --merge
stderr_has 'which caches?'
expect 2 extract --merge x.h5
stderr_has 'which caches?'
expect 2 extract --merge x.h5 a.h5 --split val=0.2
stderr_has '--merge takes rows as they are'
expect 2 extract photos -o x.h5 --classes 3
stderr_has '--summary'

expect 1 extract nowhere -o x.h5
stderr_has "'nowhere'"
expect 1 extract --info nowhere.h5
stderr_has 'nowhere.h5'
echo 'not a cache' > text.h5
expect 1 extract --info text.h5
stderr_has 'not a feature cache'
no_leftovers
done_with

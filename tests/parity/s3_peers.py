#!/usr/bin/env python3
"""s3:// beside moto's server, which checks signatures by botocore: caches equal those of the same archives on the disk.

usage: s3_peers.py EXTRACT WEIGHTS
"""
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request

import boto3
import h5py
import numpy as np
from PIL import Image
from moto.server import ThreadedMotoServer

EXTRACT, WEIGHTS = (os.path.abspath(argument) for argument in sys.argv[1:3])
KEYS = ["one.tar", "a folder/öne +=&é.tar", "a//b/..c/x.tar", "'(quoted)'*!~.tar", "shards/p-000.tar", "shards/p-001.tar"]


def draw(folder):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        os.makedirs(os.path.join(folder, name))
        for i in range(8):
            path = os.path.join(folder, name, f"{i}.png")
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
            yield path


def rows(cache):
    with h5py.File(cache) as file:
        taps = {name: file["features"][name][:] for name in file["features"]}
        return list(file["samples/path"].asstr()), file["samples/digest"][:].tolist(), taps


def same(a, b):
    return a[0] == b[0] and a[1] == b[1] and a[2].keys() == b[2].keys() and all(np.array_equal(a[2][t], b[2][t]) for t in a[2])


def extract(operand, cache, env, *options):
    done = subprocess.run([EXTRACT, operand, "-o", cache, "--backbone", "resnet18_w16", "--weights", WEIGHTS, "--compress", "gzip", *options], env=env,
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{operand}: exit code {done.returncode}\n{done.stderr}")
    return done.stderr


def make_keys(address):
    """Those of a user who may do everything with S3."""
    about = {"endpoint_url": address, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    iam = boto3.client("iam", **about)
    iam.create_user(UserName="reader")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def check_signatures(address):
    """From now on; moto takes odd keys for wrongly signed, those of boto3, too, so that these come before."""
    urllib.request.urlopen(urllib.request.Request(address + "/moto-api/reset-auth", data=b"0", method="POST",
                           headers={"Content-Type": "text/plain"})).read()


def main():
    server = ThreadedMotoServer(port=0)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    key, secret = make_keys(address)
    env = {**os.environ, "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "eu-west-1"}
    client = boto3.client("s3", endpoint_url=address, region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret)
    client.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        files = list(draw(os.path.join(folder, "pictures")))
        for number, key in enumerate(KEYS):
            path = os.path.join(folder, "p-000.tar" if key.endswith("000.tar") else "p-001.tar" if "001" in key else f"{number}.tar")
            mine = files if number < 4 else files[number - 4::2]
            with tarfile.open(path, "w") as archive:
                for file in mine:
                    archive.add(file, os.path.relpath(file, os.path.join(folder, "pictures")))
            client.upload_file(path, "photos", key)
            if number < 4:
                extract(path, os.path.join(folder, "disk.h5"), env, "--force")
                extract("s3://photos/" + key, os.path.join(folder, "s3.h5"), env, "--force")
                equal = same(rows(os.path.join(folder, "disk.h5")), rows(os.path.join(folder, "s3.h5")))
                failures += not equal
                print(f"s3://photos/{key}: {'equal' if equal else 'DIFFERS'}")
        # An address that boto3 signs.
        url = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "one.tar"})
        extract(url, os.path.join(folder, "signed.h5"), env)
        extract(os.path.join(folder, "0.tar"), os.path.join(folder, "0.h5"), env)
        failures += not same(rows(os.path.join(folder, "0.h5")), rows(os.path.join(folder, "signed.h5")))
        check_signatures(address)
        disk, s3 = os.path.join(folder, "disks.h5"), os.path.join(folder, "s3s.h5")
        extract(os.path.join(folder, "p-{000..001}.tar"), disk, env)
        extract("s3://photos/shards/p-{000..001}.tar", s3, env)
        said = extract("s3://photos/shards/p-{000..001}.tar", s3, env)
        equal = same(rows(disk), rows(s3)) and "none was fetched" in said
        failures += not equal
        print(f"s3://photos/shards/p-{{000..001}}.tar: {'equal, and found again' if equal else 'DIFFERS'}")
        wrong = subprocess.run([EXTRACT, "s3://photos/one.tar", "-o", s3, "--force", "--backbone", "resnet18_w16", "--weights", WEIGHTS],
                               env={**env, "AWS_SECRET_ACCESS_KEY": secret[::-1]}, capture_output=True, text=True)
        failures += wrong.returncode != 1 or "SignatureDoesNotMatch" not in wrong.stderr
        print(wrong.stderr.splitlines()[-1])
    server.stop()
    sys.exit(1 if failures else 0)


main()

#!/bin/sh
# Pin the base images of Dockerfile and compose.yaml to the digests that their tags have now: `sh deploy/release.sh`, before
# an image is built for others. It needs docker and its registry, and changes the two files in place; commit the result.
set -eu
cd "$(dirname "$0")"
for image in $(sed -n 's/^FROM \([^ @]*\).*/\1/p; s/^ *image: \([^ @]*:[^ @]*\).*/\1/p' Dockerfile compose.yaml | sort -u); do
  docker pull --quiet "$image" > /dev/null
  digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image" | sed 's/.*@//')
  sed -i "s|\(FROM\|image:\) $image\(@[^ ]*\)\{0,1\}|\1 $image@$digest|" Dockerfile compose.yaml
  echo "$image@$digest"
done

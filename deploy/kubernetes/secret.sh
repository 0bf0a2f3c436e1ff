#!/bin/sh
# Keeps a user's password, given on standard input, in the Secret of the user's name. Secrets' names have no capitals: that of
# snp.NVXA is snp.nvxa. Server-side, or `apply` would write the password into an annotation too.
#
#   snp-router provision apply --password-command "sh deploy/kubernetes/secret.sh {user}"
set -eu
name=$(printf %s "$1" | tr '[:upper:]' '[:lower:]')
kubectl create secret generic "$name" --namespace snp-router --from-file=password=/dev/stdin --dry-run=client --output=yaml |
  kubectl apply --server-side --force-conflicts --filename=-

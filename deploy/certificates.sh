#!/bin/sh
# Make an authority and the brokers' certificate in deploy/certificates: `sh deploy/certificates.sh HOST`. HOST is the name by
# which parties reach this host. Parties get ca.pem; the keys stay here. A year before it ends, make another.
set -eu
host=${1:?give the name by which parties reach this host}
mkdir -p "$(dirname "$0")/certificates"
cd "$(dirname "$0")/certificates"
chmod 700 .
umask 077
openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=snp-router authority" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca-key.pem -out ca.pem 2> /dev/null
openssl req -newkey rsa:3072 -nodes -subj "/CN=$host" -keyout key.pem -out request.pem 2> /dev/null
printf 'subjectAltName=DNS:%s,DNS:localhost,DNS:broker-1,DNS:broker-2,DNS:broker-3\nextendedKeyUsage=serverAuth,clientAuth\n' "$host" > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 825 -extfile names -out certificate.pem 2> /dev/null
cat key.pem certificate.pem ca.pem > broker.pem
rm -f key.pem request.pem names certificate.pem
# The containers read these two as users of their own. The folder keeps everybody else on this host out.
chmod 644 ca.pem broker.pem
echo "made deploy/certificates/ca.pem (for parties) and broker.pem (for the brokers) for $host"

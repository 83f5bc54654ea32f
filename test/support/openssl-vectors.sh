#!/usr/bin/env bash
# Makes openssl-vectors.ts: signed events by an implementation that is not ours. The canonical texts are written by hand after the
# contract, the signatures are made by the OpenSSL command line (3.0; both algorithms are deterministic):
#   test/support/openssl-vectors.sh > test/support/openssl-vectors.ts && npm run format
set -euo pipefail

seed=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
secret=736563726574206f6620612073757065727669736f72
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

from_hex() { sed 's/../\\x&/g' <<<"$1" | xargs -0 printf '%b' | head -c $((${#1} / 2)); }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# An Ed25519 private key is this prefix and the seed (RFC 8410).
from_hex "302e020100300506032b657004220420$seed" >"$folder/key.der"
openssl pkey -inform DER -in "$folder/key.der" -out "$folder/key.pem"
public=$(openssl pkey -in "$folder/key.pem" -pubout -outform DER | tail -c 32 | base64url)

ed25519() {
  printf '%s' "$1" >"$folder/text"
  openssl pkeyutl -sign -rawin -inkey "$folder/key.pem" -in "$folder/text" | base64url
}
hmac() { printf '%s' "$1" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$secret" -binary | base64url; }

cat <<TS
// Made by openssl-vectors.sh: events as they are published, and signatures over their canonical texts by OpenSSL.

export interface OpensslVector {
  readonly name: string;
  readonly order: 'canonical' | 'older';
  /** The text of the event in the envelope. */
  readonly event: string;
  readonly canonical: string;
  readonly ed25519: string;
  readonly hmac: string;
}

/** The Ed25519 key of the vectors. */
export const OPENSSL_KEY = {
  seed: '$(from_hex "$seed" | base64url)',
  public: '$public',
} as const;

export const OPENSSL_SECRET = '$(from_hex "$secret" | base64url)';

export const OPENSSL_VECTORS: readonly OpensslVector[] = [
TS

# name, order, event as published, text that is signed
vector() {
  cat <<TS
  {
    name: '$1',
    order: '$2',
    event: String.raw\`$3\`,
    canonical: String.raw\`$4\`,
    ed25519: '$(ed25519 "$4")',
    hmac: '$(hmac "$4")',
  },
TS
}

started=dev.cellos.events.cell.lifecycle.v1.started

vector 'members in another order, white space' canonical \
  '{ "type" : "'$started'", "time":"2026-11-20T19:33:26.212779419+00:00",
  "specversion":"1.0", "id":"e-1", "source":"s", "data": { "specId":"spec", "cellId" : "openssl-1", "list" : [ 2 , 1 , { } , [ ] ] } }' \
  '{"data":{"cellId":"openssl-1","list":[2,1,{},[]],"specId":"spec"},"id":"e-1","source":"s","specversion":"1.0","time":"2026-11-20T19:33:26.212779419+00:00","type":"'$started'"}'

vector 'numbers as they were spelled: 1.0, 2^63, 1e3' canonical \
  '{"type":"'$started'","data":{"whole":1.0,"large":9223372036854775808,"exponent":1e3,"Exponent":1E+3,"zero":-0,"small":0.10,"cellId":"openssl-2","specId":"spec","nested":[{"b":1.50,"a":18446744073709551616}]}}' \
  '{"data":{"Exponent":1E+3,"cellId":"openssl-2","exponent":1e3,"large":9223372036854775808,"nested":[{"a":18446744073709551616,"b":1.50}],"small":0.10,"specId":"spec","whole":1.0,"zero":-0},"type":"'$started'"}'

vector 'escapes, and keys by their UTF-8 bytes' canonical \
  '{"type":"'$started'","data":{"cellId":"openssl-\u0033","specId":"caf\u00e9 \/ \ud83d\ude00","😀":4,"\uff01":3,"é":2,"Z":0,"a":1,"tab":"\u0009\b\f\n\r\u001F\"\\"}}' \
  '{"data":{"Z":0,"a":1,"cellId":"openssl-3","specId":"café / 😀","tab":"\t\b\f\n\r\u001f\"\\","é":2,"！":3,"😀":4},"type":"'$started'"}'

vector 'of a repeated key the last counts' canonical \
  '{"type":"other","data":1,"type":"'$started'","data":{"cellId":"x","specId":"spec","cellId":"openssl-4"}}' \
  '{"data":{"cellId":"openssl-4","specId":"spec"},"type":"'$started'"}'

vector 'the older order, attributes that are absent' older \
  '{"type":"'$started'","data":{"whole":1.0,"specId":"spec","large":9223372036854775808,"cellId":"openssl-5"},"id":"e-5","specversion":"1.0"}' \
  '{"specversion":"1.0","id":"e-5","source":null,"type":"'$started'","datacontenttype":null,"data":{"cellId":"openssl-5","large":9223372036854775808,"specId":"spec","whole":1.0},"time":null,"traceparent":null}'

vector 'the older order, beside what it does not cover' older \
  '{"subject":"not covered","specversion":"1.0","id":"e-6","source":"s","type":"'$started'","datacontenttype":"application/json","data":{"cellId":"openssl-6","specId":"spec"},"time":"2026-11-20T19:33:26.2+01:00","traceparent":null,"cexsessionid":"not covered"}' \
  '{"specversion":"1.0","id":"e-6","source":"s","type":"'$started'","datacontenttype":"application/json","data":{"cellId":"openssl-6","specId":"spec"},"time":"2026-11-20T19:33:26.2+01:00","traceparent":null}'

echo '];'

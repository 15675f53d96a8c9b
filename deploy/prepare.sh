#!/bin/sh
# Make the secrets that docker-compose.yml needs, once: sh deploy/prepare.sh
# Every value is random and differs per installation; nothing that exists is overwritten.
# The folder is closed to other users (0700). The files in it are 0644, because the containers read
# them as another account; nobody can reach them from outside a folder that is closed. kms.env is read
# by compose itself, and is 0600.
set -eu
umask 077
folder="$(cd "$(dirname "$0")" && pwd)/secrets"
mkdir -p "$folder"
chmod 0700 "$folder"

die() {
  echo "prepare.sh: $*" >&2
  exit 1
}

command -v openssl >/dev/null || die "openssl is not there; nothing was made"

# produce LEAST COMMAND...: what it prints, in $text; stops where it fails or prints less than LEAST characters.
# Never `command | put`: a pipeline tells how its last command ended, and an empty key would look made.
produce() {
  least=$1
  shift
  text=$("$@") || die "$1 failed; what was made before is kept"
  [ "${#text}" -ge "$least" ] || die "$1 printed too little; what was made before is kept"
}

# write NAME: $text becomes the file, whole or not at all
write() {
  { printf '%s' "$text" && { [ -z "$text" ] || echo; }; } >"$folder/$1.new" &&
    chmod 0644 "$folder/$1.new" && mv "$folder/$1.new" "$folder/$1" || die "$1 cannot be written"
  echo "created deploy/secrets/$1"
}

# put NAME: keep the file if anything is in it, else write $text
put() {
  if [ -s "$folder/$1" ]; then
    echo "kept    deploy/secrets/$1"
  else
    write "$1"
  fi
}

# random NAME LEAST COMMAND...: the same, of what the command prints, which runs only if it is needed
random() {
  name=$1
  shift
  [ -s "$folder/$name" ] || produce "$@"
  put "$name"
}

# vacant NAME: a file that may be empty, as it is
vacant() {
  text=
  if [ -e "$folder/$1" ]; then echo "kept    deploy/secrets/$1"; else write "$1"; fi
}

# password_of ROLE: the password given to that role, in $password, made on first use.
# hex: no character that a connection string would have to escape
password_of() {
  random "$1.password" 48 openssl rand -hex 24
  password=$(cat "$folder/$1.password") && [ -n "$password" ] || die "$1.password cannot be read"
}

# url NAME ROLE CA: a connection string that checks the server's certificate and its name
url() {
  password_of "$2"
  # One that a run without openssl left behind, in a release that did not notice.
  ! grep -qs "://$2:@" "$folder/$1" || rm -f "$folder/$1"
  text="postgresql://$2:$password@postgres:5432/coffer?sslmode=verify-full&sslrootcert=$3"
  put "$1"
}

password_of postgres
text=$password
put postgres_password
random master_key_b64 44 openssl rand -base64 32
# Empty until the platform's key or the signing key is turned: see docs/operations.md and docs/trust.md.
vacant master_key_previous_b64
random kms_idempotency_key_b64 44 openssl rand -base64 32
random secrets_idempotency_key_b64 44 openssl rand -base64 32
random rewrap_idempotency_key_b64 44 openssl rand -base64 32
random signing_key.pem 100 openssl genpkey -algorithm ed25519
vacant previous_signing_keys.pem

# Who kms is in each cloud; empty: the machine's own role, attached service account or managed identity.
# One NAME=VALUE a line, values with a $ in '...': AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN;
# AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE; GOOGLE_APPLICATION_CREDENTIALS; AZURE_FEDERATED_TOKEN_FILE,
# AZURE_CLIENT_ID; and the variables with client secrets of customers that COFFER_KMS_CLIENT_SECRET_ENV_VARS
# allows. Files that they name belong into deploy/secrets/clouds/, which kms sees as /run/clouds/. Never an
# AWS key that can do anything but sts:AssumeRole.
vacant kms.env
chmod 0600 "$folder/kms.env"
# http: the gateway's own certificate and key for clients, see .env.example.
mkdir -p "$folder/clouds" "$folder/http"
chmod 0755 "$folder/clouds" "$folder/http"

url database_url postgres /pki/postgres/ca.crt
url kms_database_url coffer_kms /pki/kms/ca.crt
url secrets_database_url coffer_secrets /pki/secrets/ca.crt
url secrets_purge_database_url coffer_secrets_purge /pki/secrets/ca.crt
url rewrap_database_url coffer_rewrap /pki/rewrap/ca.crt
url rewrap_dispatch_database_url coffer_rewrap_dispatch /pki/rewrap/ca.crt
url rewrap_queue_database_url coffer_queue /pki/rewrap/ca.crt

# It is made of passwords that are kept above: one of before a role was there, or with an empty one, is made
# anew.
if ! grep -qs '"coffer_secrets_purge"' "$folder/role_passwords.json" ||
  grep -qs '": ""' "$folder/role_passwords.json"; then
  rm -f "$folder/role_passwords.json"
fi
members=
for role in coffer_kms coffer_secrets coffer_secrets_purge coffer_rewrap coffer_rewrap_dispatch \
  coffer_queue coffer_cli; do
  password_of "$role"
  members="$members${members:+, }\"$role\": \"$password\""
done
text="{$members}"
put role_passwords.json

cat <<TXT

Keep a copy of deploy/secrets/master_key_b64 somewhere else: without it, what tenants stored before
they connected a key of their own cannot be opened. And one of deploy/secrets/signing_key.pem: who has
it can sign receipts in your name.
Who kms is in the clouds (its AWS role or key, and so on) goes into deploy/secrets/kms.env.
Next: copy .env.example to .env, fill it in, then: docker compose up --build --detach
TXT

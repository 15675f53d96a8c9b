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

# put NAME reads standard input
put() {
  if [ -e "$folder/$1" ]; then
    cat >/dev/null
    echo "kept    deploy/secrets/$1"
  else
    cat >"$folder/$1.new"
    chmod 0644 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "created deploy/secrets/$1"
  fi
}

# hex: no character that a connection string would have to escape
password() { openssl rand -hex 24; }

# password_of ROLE: the password given to that role, made on first use
password_of() {
  [ -e "$folder/$1.password" ] || password | put "$1.password" >&2
  cat "$folder/$1.password"
}

# url ROLE: a connection string that checks the server's certificate and its name
url() {
  echo "postgresql://$1:$(password_of "$1")@postgres:5432/coffer?sslmode=verify-full&sslrootcert=$2"
}

password_of postgres | put postgres_password
openssl rand -base64 32 | put master_key_b64
# Empty until the platform's key or the signing key is turned: see docs/operations.md and docs/trust.md.
: | put master_key_previous_b64
openssl rand -base64 32 | put kms_idempotency_key_b64
openssl rand -base64 32 | put secrets_idempotency_key_b64
openssl genpkey -algorithm ed25519 | put signing_key.pem
: | put previous_signing_keys.pem

# Who kms is in each cloud; empty: the machine's own role, attached service account or managed identity.
# One NAME=VALUE a line, values with a $ in '...': AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN;
# AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE; GOOGLE_APPLICATION_CREDENTIALS; AZURE_FEDERATED_TOKEN_FILE,
# AZURE_CLIENT_ID; and the variables with client secrets of customers that COFFER_KMS_CLIENT_SECRET_ENV_VARS
# allows. Files that they name belong into deploy/secrets/clouds/, which kms sees as /run/clouds/. Never an
# AWS key that can do anything but sts:AssumeRole.
: | put kms.env
chmod 0600 "$folder/kms.env"
mkdir -p "$folder/clouds"
chmod 0755 "$folder/clouds"

url postgres /pki/postgres/ca.crt | put database_url
url coffer_kms /pki/kms/ca.crt | put kms_database_url
url coffer_secrets /pki/secrets/ca.crt | put secrets_database_url
url coffer_secrets_purge /pki/secrets/ca.crt | put secrets_purge_database_url
url coffer_rewrap /pki/rewrap/ca.crt | put rewrap_database_url
url coffer_rewrap_dispatch /pki/rewrap/ca.crt | put rewrap_dispatch_database_url
url coffer_queue /pki/rewrap/ca.crt | put rewrap_queue_database_url

# It is made of passwords that are kept above: one of before a role was there is made anew.
grep -q '"coffer_secrets_purge"' "$folder/role_passwords.json" 2>/dev/null ||
  rm -f "$folder/role_passwords.json"
{
  separator='{'
  for role in coffer_kms coffer_secrets coffer_secrets_purge coffer_rewrap coffer_rewrap_dispatch \
    coffer_queue coffer_cli; do
    printf '%s"%s": "%s"' "$separator" "$role" "$(password_of "$role")"
    separator=', '
  done
  echo '}'
} | put role_passwords.json

cat <<TXT

Keep a copy of deploy/secrets/master_key_b64 somewhere else: without it, what tenants stored before
they connected a key of their own cannot be opened. And one of deploy/secrets/signing_key.pem: who has
it can sign receipts in your name.
Who kms is in the clouds (its AWS role or key, and so on) goes into deploy/secrets/kms.env.
Next: copy .env.example to .env, fill it in, then: docker compose up --build --detach
TXT

"""From what was sent to bytes and blocks: PEM, base64, DER and BER. Knows no certificate and no key."""

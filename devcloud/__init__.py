"""Local stand-ins of the clouds whose KMS a customer may bring, for the demo and the tests.

A stand-in is a small server of ours that the provider's real, unmodified SDK talks to, and that
can put a customer's key into every state the product has to survive. Each cloud has a subpackage
(`aws`, `gcp`, `azure`); what lies beside them is shared.

No service may import this package, and it imports none of them: what it knows about the product
is only what a cloud would know.

Not promised: security of any kind. Keys lie in a plain file of mode 0600; nothing of value may
ever be protected by it.
"""

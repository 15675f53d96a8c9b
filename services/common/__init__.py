"""What every service shares: errors, identity, settings, database, telemetry and the rpc frame.

Nothing here imports a service. The pure part (`errors`, `aad`, `envelope`, `sensitive`, `identity`,
`api_keys`) knows no gRPC, no SQL and no I/O.
"""

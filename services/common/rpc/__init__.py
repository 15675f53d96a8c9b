"""The gRPC frame: status mapping, interceptors, server and channel."""

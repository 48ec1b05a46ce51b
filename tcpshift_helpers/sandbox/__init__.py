"""The sandbox: a small local Kubernetes API, its node and mesh, with a real Envoy as the gateway.

See ARCHITECTURE.md. Nothing here imports the learner's helpers, `errors` excepted.
"""

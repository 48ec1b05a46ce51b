"""How much may be asked of the sandbox: all such numbers in one place, each with its reason.

Numbers alone. Whoever asks for more is told so, in the real server's words where it has any, by the part that counts.
How much of the past is kept is not here: see `apiserver.store`.
"""

from __future__ import annotations

# One request to the API server. Three numbers of kube-apiserver (pkg/server/config.go), whose clients know them: a body, what the copies
# of a JSON patch may add up to (each can double an object), and its operations.
LARGEST_BODY_BYTES = 3 * 1024 * 1024
LARGEST_COPIES_BYTES = 3 * 1024 * 1024
MOST_PATCH_OPERATIONS = 10_000

# The head of a request, which is read before it is known who asks: as much as Go's net/http reads (a mebibyte, and what its buffer holds
# beyond). Lines one by one would not do: 128 of a mebibyte each are a lot of memory. Go counts no headers; no client sends more than 20.
LARGEST_HEAD_BYTES = 1024 * 1024 + 4096
MOST_HEADERS = 128
# How long somebody who has connected may take for the first one: kube-apiserver's time, too.
FIRST_HEAD_SECONDS = 32.0

# How deep objects and lists may be nested in JSON and YAML. kube-apiserver allows 10,000, but what reads, compares and merges them here calls
# itself for each level, and Python ends that near 1,000 calls. The deepest definition of Istio or the Gateway API has 40 levels.
DEEPEST_NESTING = 200
# What a YAML document may grow to once its aliases are written out: ten to a line, nine lines make a billion of them.
MOST_YAML_NODES = 1_000_000

# Writes that are being read or carried out at a time: kube-apiserver's --max-mutating-requests-inflight. Each may hold a body, so 600 MB at the
# very worst; and all pods of a sandbox may well be written at once.
MOST_WRITES = 200

# Open at a time at the API server. 400 is kube-apiserver's --max-requests-inflight, which leaves watches out: a process there may have
# hundreds of thousands of files open, here 1,024 by default on most systems, and something has to be left for requests. The sandbox's own
# parts hold about 40. Measured: an idle watch costs 65 KB, one whose client does not read 250 KB, so all of them at worst 100 MB.
MOST_WATCHES = 400
# A log takes two connections here, and one and a file at the kubelet. As many as there may be pods, almost.
MOST_LOGS = 64

# Open at a time at the kubelet: sessions of exec, attach and port-forward, each of them a connection to the API server, one from there to
# the kubelet, and up to four files of a process. A learner has a few; 64 leave both processes below a quarter of 1,024 files.
MOST_SESSIONS = 64
# Connections of one port-forward session by SPDY: more than a browser or a load test of the course opens at once.
MOST_CONNECTIONS = 256
# One message of a websocket is held as a whole. Clients send 32 KB at a time; aiohttp's own limit stands.
LONGEST_MESSAGE_BYTES = 4 * 1024 * 1024

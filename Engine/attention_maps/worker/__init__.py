"""A process of its own that keeps model, image and forward pass, and a client that asks it.

`python -m attention_maps.worker` reads requests as JSON lines on stdin and answers on stdout;
`attention_maps.worker.client.WorkerClient` starts it, asks and listens. The client imports neither
torch nor Qt.
"""

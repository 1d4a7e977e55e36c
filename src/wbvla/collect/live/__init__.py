"""Recording live: capture, encoding and writing in processes of their own, with bounded queues of shared memory."""

"""Programs of the other queues, run by the environment of `peers.lock`: they import nothing of FlowLedger."""

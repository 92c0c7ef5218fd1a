"""The pieces of suite `outbox`: one module per question, and `peers`, which runs in an environment of its own."""

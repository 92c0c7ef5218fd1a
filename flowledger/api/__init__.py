"""The API kernel: sealed views that open the organisation's scope, and everything an answer has in common."""

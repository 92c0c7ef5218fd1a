"""The outbox: every state change leaves one immutable work event, and every handler gets each event."""

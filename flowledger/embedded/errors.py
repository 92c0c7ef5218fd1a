"""What goes wrong with embedded servers, in words that say what to do next."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started, reached or stopped; the message is meant for the terminal."""


class AlreadyRunning(EmbeddedServerError):
    """Another process runs the servers of this data directory."""

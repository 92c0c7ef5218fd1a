"""Search, without a database: reading a question, ranking what was found, showing why. Pure."""

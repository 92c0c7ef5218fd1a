"""What the suite `spotlight` measures, and with what."""

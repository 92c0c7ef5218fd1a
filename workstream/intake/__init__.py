"""Pure reading of what channels deliver: no models, no I/O."""

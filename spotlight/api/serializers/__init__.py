"""Shape and format of the spotlight's representations and bodies."""

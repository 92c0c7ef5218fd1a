"""Shape and format of the pipeline's representations and bodies."""

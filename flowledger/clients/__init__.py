"""Companies and the people in them: records, onboarding, and who is who by exact keys."""

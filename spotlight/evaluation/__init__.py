"""How well facts fit profiles: pure functions from facts and the version of a profile to components and a score."""

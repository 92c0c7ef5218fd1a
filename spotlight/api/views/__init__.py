"""Doors to the spotlight's use cases: parse, call one service, answer."""

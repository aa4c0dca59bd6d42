"""Cascades over HTTP: a base that someone else serves, and a server of one's own."""

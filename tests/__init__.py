"""A package, so that no ``tests`` that another package installs is taken for it."""

"""Networks of escsr in other programs' frames."""
